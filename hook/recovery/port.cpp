#include "recovery/port.hpp"

#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "usage/pci_writers.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// PCI Express Base Specification 6.6.1: a device has answered a second after the reset, or asks for patience.
constexpr Milliseconds ready_at_last{1'000};

// The kernel holds a bus in reset for 2 ms (pci_reset_secondary_bus in drivers/pci/pci.c); a bit that is set
// for so long is nobody's.
constexpr Milliseconds left_set_after{100};

// While the kernel scans a bridge it takes the numbers away for a moment (pci_scan_bridge_extend in
// drivers/pci/probe.c).
constexpr Milliseconds numbers_within{500};

bool holds_reset(const SysReader& reader, const PciAddress& bridge)
{
    const auto config = read_config_space(reader, bridge, config_space_within);
    return config && config->secondary_bus_reset;
}

std::vector<PciAddress> directly_below(const SysReader& reader, const PciAddress& port)
{
    std::vector<PciAddress> result;
    const auto bridge = read_function(reader, port);
    if (!bridge || !bridge->secondary_bus) return result;
    for (const auto& address : list_functions(reader))
        if (bus_of(address) == *bridge->secondary_bus) result.push_back(address);
    return result;
}

} // namespace

Link link_below(const SysReader& reader, const PciAddress& port)
{
    const auto config = read_config_space(reader, port, config_space_within);
    if (!config) return {};
    return {config->link_active_reported, config->link_active};
}

bool something_is_below(const SysReader& reader, const PciAddress& port)
{
    return !directly_below(reader, port).empty();
}

bool wait_until_ready(const RunContext& run, const PciAddress& port, Milliseconds within)
{
    const auto below = directly_below(run.system, port);
    const auto answers = [&](const PciAddress& address) {
        const auto config = read_config_space(run.system, address, config_space_within);
        return config && config->health == Health::alive;
    };
    const auto ready = [&] {
        return below.empty() ? link_below(run.system, port).up : std::ranges::any_of(below, answers);
    };
    const bool in_time = run.system.wait_until(
        ready, run.deadline.at_most(run.system, below.empty() ? ready_at_last : within));
    sleep_for(run, after_link_up);
    return in_time;
}

bool clear_left_reset(const RunContext& run, const PciAddress& bridge, Milliseconds ready_within)
{
    const auto is_over = [&] { return !holds_reset(run.system, bridge); };
    if (run.system.wait_until(is_over, left_set_after)) return false;
    if (!find_pci_writers(run.system).empty() || is_over()) return false;
    const auto config = paths::function(bridge, "config");
    const auto outcome =
        run.system.clear_secondary_bus_reset(config, run.deadline.at_most(run.system, setting_within));
    if (outcome.still_running()) throw_stuck(outcome, config);
    if (outcome.refused()) return false;
    run.warn({"the port " + quote(bridge) + " held its card in reset, and nobody was at work there",
              "its reset bit was cleared"});
    wait_until_ready(run, bridge, ready_within);
    return true;
}

bool has_lost_its_numbers(const Function& bridge)
{
    return bridge.secondary_bus && (bridge.registers.secondary != bridge.secondary_bus->bus ||
                                    bridge.registers.subordinate < bridge.subordinate_bus);
}

std::string lost_numbers(const Function& bridge)
{
    const BusNumbers given{bridge.secondary_bus->bus, bridge.subordinate_bus};
    return "has lost its bus numbers (" + to_string(bridge.registers) + " instead of " + to_string(given) +
           ")";
}

Advice without_numbers(const Function& bridge)
{
    return {"bridge " + quote(bridge.address) + " above the card " + lost_numbers(bridge) +
                ", so nothing below it can be reached; it is left as it is",
            "reboot the host"};
}

std::optional<Function> lost_bridge_above(const SysReader& reader, const PciAddress& port)
{
    auto bridge = read_function(reader, port);
    if (!bridge || has_lost_its_numbers(*bridge)) return bridge;
    for (const auto& address : bridge->above)
        if (auto above = read_function(reader, address); above && has_lost_its_numbers(*above)) return above;
    return std::nullopt;
}

bool has_its_numbers(System& system, const PciAddress& bridge)
{
    const auto has_them = [&] {
        const auto now = read_function(system, bridge);
        return !now || !has_lost_its_numbers(*now);
    };
    return system.wait_until(has_them, numbers_within);
}

void check_bridges(const RunContext& run, const CardPlan& card)
{
    for (const auto& address : card.card.switches) {
        if (has_its_numbers(run.system, address)) continue;
        const auto bridge = read_function(run.system, address);
        if (bridge && has_lost_its_numbers(*bridge))
            throw Error(ErrorKind::disturbed,
                        {"bridge " + quote(address) + " on the card " + lost_numbers(*bridge)});
    }
}

} // namespace pvegpu
