#include "reset.hpp"

#include "paths.hpp"
#include "read_function.hpp"

#include <cerrno>

namespace pvegpu {
namespace {

// PCI Express Base Specification 6.6.1: a hot reset needs its bit for 1 ms at least; the kernel holds it 2 ms
// (pci_reset_secondary_bus in drivers/pci/pci.c).
constexpr Milliseconds hold_reset{2};

// The same section: configuration requests may be sent 100 ms after the link is up.
constexpr Milliseconds after_link_up{100};

constexpr Milliseconds config_space_within{5'000};
constexpr Milliseconds hotplug_within{10'000};

// The port's hotplug service has a name like "0000:00:1c.0:pcie004", 4 being the kind; the digits before it
// are the port's type, so it is found by its driver.
std::string hotplug_service(const SysReader& reader, const PciAddress& port)
{
    for (const auto& name : reader.list(std::string(paths::pciehp_driver)))
        if (name.starts_with(to_string(port) + ":pcie")) return name;
    return "";
}

std::string pciehp(std::string_view attribute)
{
    return paths::join(paths::pciehp_driver, attribute);
}

// Whether the link can be waited for, and is up: a port that never reports an active link cannot say when it
// has come back (QEMU's root ports without pciehp, some old boards).
struct Link {
    bool reported = false;
    bool up = false;
};

Link link_below(const SysReader& reader, const PciAddress& port)
{
    const auto config = read_config_space(reader, port, config_space_within);
    if (!config) return {};
    return {config->link_active_reported, config->link_active};
}

void wait_for_link(const Run& run, const CardPlan& card, const Step& step)
{
    const bool up = run.system.wait_until([&] { return link_below(run.system, step.function).up; },
                                          run.deadline.at_most(run.system, card.settings.timeouts.reappear));
    if (up) return;
    const std::string text = "the link below '" + step.target() + "' did not come up after the reset";
    if (card.settings.on_timeout == OnTimeout::fail) throw Error(Reason::failed, text);
    run.warn(text + "; the rescan will show whether the card is there");
}

StepOutcome refused(const Run& run, const Step& step, const Outcome& outcome)
{
    const auto reason = Error(Reason::failed, "the kernel refuses to reset it", "", outcome.error_number);
    run.warn("'" + step.target() + "': " + reason.what() + "; it is only removed and found again");
    return {.refused = true, .detail = reason.what()};
}

StepOutcome pulse(const Run& run, const CardPlan& card, const Step& step)
{
    const auto& timeouts = card.settings.timeouts;
    const auto config = paths::function(step.function, "config");
    const Undo undo{Undo::Kind::bridge_control, config, ""};
    const Link before = link_below(run.system, step.function);
    run.journal.note(undo);
    const auto outcome = run.system.pulse_secondary_bus_reset(
        config, hold_reset, run.deadline.at_most(run.system, timeouts.reset));
    if (outcome.still_running()) throw_stuck(outcome, config);
    if (outcome.refused()) return refused(run, step, outcome); // the bit may be set: it stays noted
    run.journal.settled(undo);
    if (before.reported && before.up) wait_for_link(run, card, step);
    let_pass(run, after_link_up);
    return {.detail = "by the secondary bus reset bit"};
}

StepOutcome by_file(const Run& run, const CardPlan& card, const Step& step, std::string_view file)
{
    const auto outcome = write_checked(run, paths::function(step.function, file), "1",
                                       card.settings.timeouts.reset, card.settings.retries);
    if (outcome.refused()) return refused(run, step, outcome);
    return {.detail = "by '" + std::string(file) + "'"};
}

void quiet_hotplug(const Run& run, const PciAddress& port)
{
    const auto service = hotplug_service(run.system, port);
    if (service.empty()) return;
    run.journal.note({Undo::Kind::setting, pciehp("bind"), service});
    write_checked(run, pciehp("unbind"), service, hotplug_within, 0);
}

} // namespace

StepOutcome reset(const Run& run, const CardPlan& card, const Step& step)
{
    quiet_hotplug(run, step.by == ResetBy::function ? *card.card.port : step.function);
    switch (step.by) {
    case ResetBy::bridge_control:
        return pulse(run, card, step);
    case ResetBy::function:
        return by_file(run, card, step, "reset");
    case ResetBy::reset_subordinate:
        break;
    }
    return by_file(run, card, step, "reset_subordinate");
}

void restore_hotplug(const Run& run)
{
    const auto noted = run.journal.entries(); // a copy: settling takes entries out
    for (const auto& undo : noted) {
        if (undo.path != pciehp("bind")) continue;
        write_checked(run, undo.path, undo.text, hotplug_within, 0);
        run.journal.settled(undo);
    }
}

} // namespace pvegpu
