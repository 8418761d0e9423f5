#include "recovery/return_to_host.hpp"

#include "pci/read_function.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/journal.hpp"
#include "recovery/recover_cards.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/vm_facts.hpp"
#include "recovery/vt_console.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

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

StepOutcome perform(System& system, const PutBack& step)
{
    const auto& setting = step.setting;
    if (step.kind == PutBack::Kind::reset_method) return put_back_reset_method(system, setting);
    if (step.kind == PutBack::Kind::power) return put_back_power(system, setting);
    const auto outcome = system.write(setting.path, setting.text, console_within);
    return {outcome.done() ? StepResult::done : StepResult::refused};
}

void put_back(System& system, const ReturnPlan& plan, bool console, std::vector<StepReport>& steps)
{
    for (const auto& one : plan.put_back)
        if ((one.kind == PutBack::Kind::console) == console)
            run_step(system, report_of(one), steps, [&] { return perform(system, one); });
}

void give_cards_back(System& system, const Request& request, const ReturnPlan& plan,
                     std::vector<Advice>& warnings, std::vector<StepReport>& steps)
{
    Journal journal(system, request.vmid);
    const RunContext run{system, journal, Deadline(system, plan.settings.timeouts.total), request.vmid,
                         warnings};
    try {
        give_back_cards(run, plan.cards, plan.settings.parallel, steps);
        put_back(system, plan, true, steps);
        journal.close();
    } catch (const std::exception& error) {
        journal.undo_all(reason_of(error) == ErrorKind::stuck_write);
        throw;
    }
}

} // namespace

ReturnPlan plan_return_to_host(const SysReader& reader, const Request& request, const GuestState& state,
                               const SettingsFile& settings)
{
    const auto goes_back = [&](const GuestFunction& known) {
        return settings.for_device(request.vmid, known.id).after_stop == AfterStop::native;
    };
    VmFacts vm_facts;
    vm_facts.request = request;
    // Else nothing is taken from anybody, and whoever uses the host's devices need not be found.
    if (std::ranges::any_of(state.functions, goes_back))
        vm_facts = read_vm_facts_of(reader, request, present_functions(reader, state));
    return plan_return(state, read_guest_states(reader), vm_facts, settings);
}

void return_to_host(System& system, const Request& request, const ReturnPlan& plan,
                    std::vector<Advice>& warnings, std::vector<StepReport>& steps)
{
    if (plan.refused) throw Error(plan.refused->reason, plan.refused->advice);
    if (plan.gives_cards_back()) {
        take_host_lock(system, plan.settings);
        repair_before_planning(system, plan.settings);
        give_cards_back(system, request, plan, warnings, steps);
    }
    put_back_settings(system, plan, steps);
}

void put_back_settings(System& system, const ReturnPlan& plan, std::vector<StepReport>& steps)
{
    put_back(system, plan, false, steps);
}

} // namespace pvegpu
