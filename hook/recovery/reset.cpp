#include "recovery/reset.hpp"

#include "machine/paths.hpp"
#include "recovery/port.hpp"
#include "usage/pci_writers.hpp"

#include <cerrno>
#include <optional>

namespace pvegpu {
namespace {

// PCI Express Base Specification 6.6.1: a hot reset needs its bit for 1 ms at least; the kernel holds it 2 ms
// (pci_reset_secondary_bus in drivers/pci/pci.c).
constexpr Milliseconds hold_reset{2};

// With ENOTTY the kernel refuses before it has done anything, or gives up on a card that it has reset: after
// 100 ms at least (pci_bus_max_d3cold_delay and pci_bridge_wait_for_secondary_bus in drivers/pci/pci.c),
// often after a minute (pci_dev_wait).
constexpr Milliseconds refuses_within{50};

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

// The port that the step's reset is seen at.
const PciAddress& port_of(const CardPlan& card, const Reset& step)
{
    return step.by == ResetBy::function ? *card.card.port : step.target;
}

void wait_for_link_up(const RunContext& run, const CardPlan& card, const Reset& step)
{
    const auto within = run.deadline.at_most(run.system, card.settings.timeouts.reappear);
    const bool up = run.system.wait_until([&] { return link_below(run.system, step.target).up; }, within);
    if (up) return;
    const std::string text = "the link below " + quote(step.target) + " did not come up within " +
                             in_seconds(within) + " after the reset";
    if (card.settings.on_timeout == OnTimeout::fail) throw Error(ErrorKind::failed, {text});
    run.warn({text, "the rescan will show whether the card is there"});
}

// As long as the standard wants, where nobody else has waited.
void wait_after_reset(const RunContext& run, const CardPlan& card, const Reset& step, const Link& before)
{
    if (before.reported && before.up) wait_for_link_up(run, card, step);
    sleep_for(run, after_link_up);
}

// The reset was done, and the card takes longer than the kernel waits for it.
StepOutcome late(const RunContext& run, const CardPlan& card, const Reset& step, std::string_view file,
                 Milliseconds waited)
{
    const auto within = run.deadline.at_most(run.system, card.settings.timeouts.reappear);
    const auto begin = run.system.now();
    const bool ready = wait_until_ready(run, port_of(card, step), within);
    const auto more = std::chrono::duration_cast<Milliseconds>(run.system.now() - begin);
    const std::string what = quote(step.target) +
                             ": the reset was done, and the kernel did not wait until the card answered (" +
                             std::to_string(waited.count()) + " ms)";
    if (ready)
        return {.detail = "by '" + std::string(file) + "'; the card answered " +
                          std::to_string(more.count()) + " ms after the kernel had given up waiting"};
    if (card.settings.on_timeout == OnTimeout::fail)
        throw Error(ErrorKind::failed, {what, "it does not answer " + in_seconds(within) + " later either"});
    run.warn({what, "its link is slow or down, and the rescan will show whether it is there"});
    return {.detail = "by '" + std::string(file) + "'; the card did not answer within " + in_seconds(within)};
}

StepOutcome refused(const RunContext& run, const Reset& step, const SysResult& outcome)
{
    const auto reason =
        Error(ErrorKind::failed, {"the kernel refuses to reset it"}, "", outcome.error_number);
    run.warn({quote(step.target) + ": " + reason.what(), "removing and rescanning only"});
    return {StepResult::refused, reason.what()};
}

StepOutcome pulse(const RunContext& run, const CardPlan& card, const Reset& step)
{
    const auto& timeouts = card.settings.timeouts;
    const auto config = paths::function(step.target, "config");
    const Undo undo{Undo::Kind::bridge_control, config, ""};
    const Link before = link_below(run.system, step.target);
    run.journal.note(undo);
    const auto outcome = run.system.pulse_secondary_bus_reset(
        config, hold_reset, run.deadline.at_most(run.system, timeouts.reset));
    if (outcome.still_running()) throw_stuck(outcome, config);
    if (outcome.refused()) return refused(run, step, outcome); // the bit may be set: it stays noted
    run.journal.settled(undo);
    wait_after_reset(run, card, step, before);
    return {.detail = "by the secondary bus reset bit"};
}

StepOutcome by_file(const RunContext& run, const CardPlan& card, const Reset& step, std::string_view file)
{
    const auto port = step.by == ResetBy::reset_subordinate ? std::optional(step.target) : std::nullopt;
    const Link before = port ? link_below(run.system, *port) : Link{};
    const auto outcome = write_checked(run, paths::function(step.target, file), "1",
                                       card.settings.timeouts.reset, card.settings.retries);
    const auto went_down = [&] { return before.reported && before.up && !link_below(run.system, *port).up; };
    if (outcome.refused() && outcome.error_number == ENOTTY && (outcome.took > refuses_within || went_down()))
        return late(run, card, step, file, outcome.took);
    if (says_later(outcome) && !find_pci_writers(run.system).empty())
        throw Error(ErrorKind::disturbed,
                    {quote(step.target) + " could not be reset: somebody else is at work on it"}, "",
                    outcome.error_number);
    if (outcome.refused()) return refused(run, step, outcome);
    // Where the kernel knows nothing below the port, it has waited for nothing.
    if (port && !something_is_below(run.system, *port)) wait_after_reset(run, card, step, before);
    return {.detail = "by '" + std::string(file) + "'"};
}

StepOutcome reset_by(const RunContext& run, const CardPlan& card, const Reset& step)
{
    if (step.by == ResetBy::bridge_control) return pulse(run, card, step);
    return by_file(run, card, step, step.by == ResetBy::function ? "reset" : "reset_subordinate");
}

} // namespace

void quiet_hotplug(const RunContext& run, const CardPlan& card, const Reset& step)
{
    const auto service = hotplug_service(run.system, port_of(card, step));
    if (service.empty()) return;
    run.journal.note({Undo::Kind::hotplug, pciehp("bind"), service});
    write_checked(run, pciehp("unbind"), service, hotplug_within, 0);
}

StepOutcome reset(const RunContext& run, const CardPlan& card, const Reset& step)
{
    const auto& port = port_of(card, step);
    quiet_hotplug(run, card, step);
    auto outcome = reset_by(run, card, step);
    clear_left_reset(run, port, card.settings.timeouts.reappear);
    check_bridges(run, card);
    return outcome;
}

bool restore_hotplug(const RunContext& run)
{
    bool restored = false;
    const auto noted = run.journal.entries(); // a copy: settling takes entries out
    for (const auto& undo : noted) {
        if (undo.kind != Undo::Kind::hotplug) continue;
        restored |= write_checked(run, undo.path, undo.text, hotplug_within, 0).done();
        run.journal.settled(undo);
    }
    return restored;
}

} // namespace pvegpu
