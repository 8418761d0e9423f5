#include "recovery/search.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/named_devices.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/native_drivers.hpp"
#include "recovery/port.hpp"
#include "recovery/reset.hpp"
#include "recovery/steps.hpp"

#include <algorithm>
#include <iterator>

namespace pvegpu {
namespace {

std::string bridge_of(const PciBus& bus, std::string_view attribute)
{
    return paths::join(paths::bus(bus) + "/device", attribute);
}

// A port that sleeps finds nothing. What is found is noted with the port as it was, so it is put back.
class AwakeBridge {
public:
    AwakeBridge(const RunContext& run, const PciBus& bus, const Settings& settings) : run_(run)
    {
        for (const auto file : power_files) keep(bridge_of(bus, file), settings);
    }

    void let_sleep_again()
    {
        for (const auto& undo : changed_) {
            write_checked(run_, undo.path, undo.text, setting_within, 0);
            run_.journal.settled(undo);
        }
    }

private:
    void keep(const std::string& path, const Settings& settings)
    {
        const auto text = run_.system.read(path);
        if (!text) return;
        changed_.push_back({Undo::Kind::setting, path, std::string(trim(*text))});
        run_.journal.note(changed_.back());
        keep_awake(run_.system, path, run_.deadline.at_most(run_.system, settings.timeouts.reset));
    }

    const RunContext& run_;
    std::vector<Undo> changed_;
};

void rescan(const RunContext& run, const PciBus& bus, const Settings& settings)
{
    write_checked(run, paths::bus_rescan(bus), "1", settings.timeouts.rescan, settings.retries);
}

std::optional<PciAddress> bridge_to(const SysReader& reader, const PciBus& bus)
{
    const auto target = reader.read_link(paths::bus(bus) + "/device").value_or("");
    return parse_pci_address(target.substr(target.rfind('/') + 1));
}

// What the guest names on these buses and is missing.
std::vector<HostSelector> missing_on(const RecoveryPlan& plan, const BusRange& buses)
{
    std::vector<HostSelector> missing;
    for (const auto& [device, selector] : missing_functions(plan.devices))
        if (const auto first = first_function(selector.text); first && buses.has(bus_of(*first)))
            missing.push_back(selector);
    return missing;
}

// What is below the bridge to that bus.
BusRange buses_of(const SysReader& reader, const PciBus& bus)
{
    const auto bridge = bridge_to(reader, bus);
    const auto function = bridge ? read_function(reader, *bridge) : std::nullopt;
    return function ? function->buses().value_or(BusRange{bus, bus.bus}) : BusRange{bus, bus.bus};
}

bool is_complete(const SysReader& reader, const std::vector<HostSelector>& missing)
{
    const auto all = list_functions(reader);
    return std::ranges::all_of(missing,
                               [&](const HostSelector& selector) { return names_one(selector, all); });
}

bool appears(const RunContext& run, const std::vector<HostSelector>& missing, Milliseconds within)
{
    return run.system.wait_until([&] { return is_complete(run.system, missing); },
                                 run.deadline.at_most(run.system, within));
}

void rescan_bus(const RunContext& run, const RecoveryPlan& plan, const PciBus& bus)
{
    const auto bridge = bridge_to(run.system, bus);
    if (bridge) clear_left_reset(run, *bridge, plan.settings.timeouts.reappear);
    rescan(run, bus, plan.settings);
}

// What hangs on an empty bus is reset, which is nothing that the kernel knows.
void reset_and_rescan(const RunContext& run, const RecoveryPlan& plan, const PciBus& bus)
{
    const auto reset = bridge_of(bus, "reset_subordinate");
    const auto bridge = bridge_to(run.system, bus);
    if (!bridge || !run.system.exists(reset) || something_is_below(run.system, *bridge)) return;
    write_checked(run, reset, "1", plan.settings.timeouts.reset, plan.settings.retries);
    sleep_for(run, after_link_up);
    rescan_bus(run, plan, bus);
}

void search_buses(const RunContext& run, const RecoveryPlan& plan)
{
    // A rescan returns when it has found what answers; what a hotplug port brings comes later.
    constexpr Milliseconds found_by_rescan{1'000};
    std::vector<HostSelector> missing;
    for (const auto& bus : plan.search)
        for (auto& selector : missing_on(plan, buses_of(run.system, bus)))
            missing.push_back(std::move(selector));
    for (const auto& bus : plan.search) rescan_bus(run, plan, bus);
    if (appears(run, missing, found_by_rescan)) return;
    // Below a bridge without its bus numbers nothing is reached: only the whole card helps.
    const auto lost = [](const LostCard& card) { return card.has_lost_numbers; };
    if (std::ranges::any_of(plan.lost_cards, lost)) return;
    for (const auto& bus : plan.search) reset_and_rescan(run, plan, bus);
    const bool more_to_try = std::ranges::any_of(
        plan.lost_cards, [](const LostCard& card) { return card.left_alone_because.empty(); });
    appears(run, missing, more_to_try ? found_by_rescan : plan.settings.timeouts.reappear);
}

bool is_the_guests(const RecoveryPlan& plan, const PciAddress& address)
{
    return std::ranges::any_of(plan.devices, [&](const PassedDevice& device) {
        const auto& missing = device.taken().missing;
        return std::ranges::any_of(missing,
                                   [&](const HostSelector& one) { return one.matches(to_string(address)); });
    });
}

// In the order of addresses, which has bridges before what is below them.
void probe_what_is_the_hosts(const RunContext& run, const RecoveryPlan& plan,
                             const std::vector<PciAddress>& before)
{
    const auto now = list_functions(run.system);
    std::vector<PciAddress> found;
    std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(found));
    for (const auto& address : found)
        if (!is_the_guests(plan, address))
            write_checked(run, std::string(paths::drivers_probe), to_string(address),
                          plan.settings.timeouts.bind, 0);
}

// What is left of a card, for the steps that remove, reset and find it again.
CardPlan plan_of(const SysReader& reader, const RecoveryPlan& plan, const LostCard& lost)
{
    CardPlan card;
    card.card.port = lost.port;
    card.card.top = lost.top;
    card.settings = plan.settings;
    for (const auto& address : lost.functions)
        if (auto function = read_function(reader, address))
            card.functions.push_back({std::move(*function), Role::neighbour, "", false, true});
    return card;
}

// Nothing can be bound while the bus is searched, and what is the host's is probed afterwards.
template <typename Search>
void with_autoprobe_held(const RunContext& run, const RecoveryPlan& plan, Search search)
{
    const auto before = list_functions(run.system);
    const bool held = hold_autoprobe(run);
    search();
    if (!held) return;
    probe_what_is_the_hosts(run, plan, before);
    release_autoprobe(run);
}

} // namespace

void search_missing(const RunContext& run, const RecoveryPlan& plan)
{
    with_autoprobe_held(run, plan, [&] {
        std::vector<AwakeBridge> awake;
        for (const auto& bus : plan.search) {
            run.warn({"configured GPU missing; rescanning bus " + quote(bus)});
            awake.emplace_back(run, bus, plan.settings);
        }
        search_buses(run, plan);
        for (auto& bridge : awake) bridge.let_sleep_again();
    });
}

void search_card(const RunContext& run, const RecoveryPlan& plan, const LostCard& lost)
{
    const auto port = read_function(run.system, lost.port);
    const auto buses = port ? port->buses() : std::nullopt;
    if (!buses) return;
    run.warn({"configured GPU missing; looking for the whole card below port " + quote(lost.port) +
              ": it is removed, reset and found again"});
    const auto card = plan_of(run.system, plan, lost);
    const auto by = port->has_reset_subordinate ? ResetBy::reset_subordinate : ResetBy::bridge_control;
    with_autoprobe_held(run, plan, [&] {
        AwakeBridge bridge(run, buses->first, plan.settings);
        clear_left_reset(run, lost.port, plan.settings.timeouts.reappear);
        for (const auto& address : lost.top) {
            run.journal.note(undos_of(run, Remove{address}));
            remove(run, card, address);
        }
        reset(run, card, {lost.port, by});
        rescan(run, buses->first, plan.settings);
        appears(run, missing_on(plan, *buses), plan.settings.timeouts.reappear);
        restore_hotplug(run);
        put_back_device_settings(run);
        run.journal.settled({Undo::Kind::pci, paths::bus_rescan(buses->first), "1"});
        bridge.let_sleep_again();
    });
}

} // namespace pvegpu
