#include "recovery/return_to_host.hpp"

#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/journal.hpp"
#include "recovery/power.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/reset.hpp"
#include "recovery/steps.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

constexpr Milliseconds console_within{5'000};

// The functions that are still the ones that the guest was given: another card may be in the slot by now.
std::vector<PciAddress> present_functions(const SysReader& reader, const GuestState& state)
{
    std::vector<PciAddress> addresses;
    for (const auto& known : state.functions) {
        const auto function = read_function(reader, known.address);
        if (function && device_id(*function) == known.id) addresses.push_back(known.address);
    }
    return addresses;
}

std::string native_driver_of(const GuestState& state, const PciAddress& address)
{
    for (const auto& known : state.functions)
        if (known.address == address) return known.native_driver;
    return "";
}

bool wants_native(const CardPlan& card)
{
    return card.settings.after_stop == AfterStop::native;
}

// driver_override names the one driver and the one function; a dynamic id that Proxmox has left with vfio-pci
// would win otherwise. It is cleared again, so that the administrator finds the function as it was.
void give_to(const Run& run, const CardPlan& card, const PlannedFunction& function, const std::string& driver)
{
    const auto override_file = paths::function(function.address(), "driver_override");
    const auto& timeouts = card.settings.timeouts;
    if (!driver.empty()) write_checked(run, override_file, driver, timeouts.bind, 0);
    write_checked(run, std::string(paths::drivers_probe), to_string(function.address()), timeouts.bind, 0);
    const auto bound = [&] { return run.system.exists(paths::function(function.address(), "driver")); };
    if (!driver.empty() && !run.system.wait_until(bound, run.deadline.at_most(run.system, timeouts.bind)))
        run.warn("'" + to_string(function.address()) + "' could not be given back to '" + driver +
                 "'; see the kernel's log (dmesg)");
    write_checked(run, override_file, "\n", timeouts.bind, 0);
}

// A function that had no driver, or whose driver is not known, stays on vfio-pci; a companion that was never
// the guest's has its driver already, but must let go of it for the reset.
void return_card(const Run& run, const CardPlan& card, const GuestState& state)
{
    const bool left_alone = card.steps.empty(); // "auto", and its own reset is good: Proxmox has done it
    for (const auto& function : card.functions)
        if (left_alone && function.to_vfio) unbind(run, card, function.address());
    for (const auto& step : card.steps) {
        if (step.op == Op::wake) wake(run, card, step.function);
        if (step.op == Op::unbind) unbind(run, card, step.function);
        if (step.op == Op::remove) break;
        if (step.op == Op::reset && step.by != ResetBy::bridge_control) {
            reset(run, card, step);
            restore_hotplug(run);
        }
    }
    for (const auto& function : card.functions) {
        if (!function.cycled || (left_alone && !function.to_vfio)) continue;
        const auto driver =
            function.to_vfio ? native_driver_of(state, function.address()) : function.facts.driver;
        give_to(run, card, function, driver.empty() && function.to_vfio ? function.vfio_driver : driver);
    }
}

void restore_console(System& system, const GuestState& state)
{
    for (const auto& setting : state.console) system.write(setting.path, setting.text, console_within);
}

void return_cards(System& system, const GuestState& state, Report& report)
{
    Journal journal(system, state.vmid);
    const Run run{system, journal, Deadline(system, report.plan.settings.timeouts.total), state.vmid,
                  report.plan.warnings};
    try {
        for (const auto& card : report.plan.cards)
            if (wants_native(card) && card.card.port) return_card(run, card, state);
        restore_console(system, state);
        journal.close();
    } catch (const std::exception& error) {
        journal.undo_all(reason_of(error) == Reason::stuck_write);
        throw;
    }
}

} // namespace

void return_to_host(System& system, const GuestState& state, Report& report)
{
    const auto settings = read_settings(system);
    const auto functions = present_functions(system, state);
    const auto situation = read_situation_of(system, report.plan.request, functions, system.wall_clock());
    report.plan = make_plan(situation, settings);
    report.plan.warnings.clear(); // they are about a start
    if (report.plan.refused) throw Error(report.plan.refused->reason, report.plan.refused->detail);
    if (std::any_of(report.plan.cards.begin(), report.plan.cards.end(), wants_native)) {
        take_host_lock(system, report.plan.settings);
        repair_before_planning(system, report.plan.settings);
        return_cards(system, state, report);
    }
    restore_reset_methods(system, state);
    restore_power(system, state);
}

} // namespace pvegpu
