#include "recovery/recover_gpu.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/conflicts.hpp"
#include "machine/paths.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/journal.hpp"
#include "recovery/known_cards.hpp"
#include "recovery/port.hpp"
#include "recovery/recover_cards.hpp"
#include "recovery/return_to_host.hpp"
#include "recovery/search.hpp"
#include "recovery/vm_facts.hpp"
#include "recovery/writes.hpp"
#include "usage/claims.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Other people's work on the PCI bus ends by itself. One that waits for a VM may never: waiting is over at
// once, and the plan refuses it; others that wait behind it are not to blame. False if there is such a one.
bool wait_for_busy_writers(System& system, const Settings& settings)
{
    std::vector<PciWriter> writers;
    const auto nobody_works = [&] {
        writers = find_pci_writers(system);
        return writers.empty() ||
               std::ranges::any_of(writers, [](const PciWriter& one) { return one.stuck; });
    };
    if (system.wait_until(nobody_works, settings.timeouts.busy)) return writers.empty();
    throw Error(ErrorKind::stuck_writer,
                {"pid " + std::to_string(writers.front().pid) + " (" + writers.front().program +
                     ") has been in the kernel's '" + writers.front().where + "' for " +
                     in_seconds(settings.timeouts.busy) + " ('timeouts': 'busy')",
                 "start the guest again when it has ended; if it does not, the host has to be rebooted"});
}

// Who starts the guest once the cards are ready: Proxmox's task, which has started us; or we ourselves.
std::optional<Process> starter(const System& system, const Request& request)
{
    if (request.instance.empty()) return find_process(system, system.parent_pid());
    const auto self = parse_decimal(system.read_link(std::string(paths::proc_self)).value_or(""));
    return self ? find_process(system, static_cast<pid_t>(*self)) : std::nullopt;
}

// Between the end of a recovery and the moment when QEMU opens the device nobody else holds it.
void claim_cards(System& system, const RecoveryPlan& plan)
{
    const auto parent = starter(system, plan.request);
    if (!parent || parent->pid == 1) return; // the task is gone already, and nobody would end the claim
    Claim claim;
    claim.vmid = plan.request.vmid;
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (function.goes_to_guest) claim.functions.push_back(function.address());
    if (claim.functions.empty()) return;
    claim.parent = *parent;
    system.replace_file(paths::claim(claim.vmid), print_claim(claim));
}

void say_warnings(System& system, const RecoveryPlan& plan)
{
    for (const auto& warning : plan.warnings) system.say(Severity::warning, to_string(warning));
}

// The console that was taken off a card is given back when the guest has stopped.
void keep_console_for_the_stop(System& system, const Journal& journal, GuestState& state)
{
    for (const auto& undo : journal.entries())
        if (undo.kind == Undo::Kind::console) state.console.push_back({undo.path, undo.text});
    save_guest_state(system, state);
}

// After a failure, whose own message must not be lost.
void let_sleep_again(System& system, const GuestState& state)
{
    try {
        std::vector<StepReport> unreported;
        put_back_settings(system, plan_sleep(state, read_guest_states(system)), unreported);
    } catch (const std::exception& error) {
        system.say(Severity::warning, std::string("the card and its ports are kept awake: ") + error.what());
    }
}

void note_what_is_given_back(System& system, const RecoveryPlan& plan)
{
    const auto state = note_guest_state(system, plan);
    if (!state.functions.empty()) save_guest_state(system, state);
}

void cycle_cards(System& system, RecoveryPlan& plan, const Deadline& deadline, std::vector<StepReport>& steps)
{
    Journal journal(system, plan.request.vmid);
    const RunContext run{system, journal, deadline, plan.request.vmid, plan.warnings};
    auto state = note_guest_state(system, plan);
    save_guest_state(system, state);
    try {
        recover_cards(run, plan, steps);
        for (const auto& card : plan.cards)
            if (card.is_cycled()) save_known_card(system, card);
        state = note_guest_state(system, plan);
        for (const auto& card : plan.cards)
            if (card.is_cycled()) choose_reset_methods(run, card, state);
        keep_console_for_the_stop(system, journal, state);
        journal.close();
    } catch (const std::exception& error) {
        journal.undo_all(reason_of(error) == ErrorKind::stuck_write);
        if (reason_of(error) != ErrorKind::stuck_write) let_sleep_again(system, state);
        throw;
    }
}

// What is missing, and is not expected to come back with a card that is reset and found again.
std::string missing_names(const RecoveryPlan& plan)
{
    std::string names;
    for (const auto& [device, selector] : missing_functions(plan.devices))
        if (!plan.is_looked_for(selector))
            names += (names.empty() ? "'" : ", '") + selector.text + "' (" + device.key + ")";
    return names;
}

// The search has found nothing: the strongest cure decides what is said.
[[noreturn]] void give_up_search(const RecoveryPlan& plan, const std::string& names)
{
    const auto fact = names + " is not on the PCI bus and does not come back";
    for (const auto& card : plan.lost_cards)
        if (!card.left_alone_because.empty())
            throw Error(ErrorKind::not_found,
                        {fact + "; all that is below port " + quote(card.port) +
                             " would have to be reset, which is not done because " + card.left_alone_because,
                         std::string("stop what uses it and start the guest again, else ") +
                             (card.has_lost_numbers ? "reboot the host" : "switch the host off and on")});
    for (const auto& [device, selector] : missing_functions(plan.devices))
        if (const auto known = with_cause(fact, plan.absent, selector))
            throw Error(ErrorKind::not_found, *known);
    throw Error(ErrorKind::not_found, {fact + ", though its port was reset",
                                       "switch the host off and on, or correct the guest's devices"});
}

RecoveryPlan search_and_plan_again(System& system, const RecoveryPlan& first, const SettingsFile& settings,
                                   const Deadline& deadline, std::vector<Advice>& warnings)
{
    Journal journal(system, first.request.vmid);
    const RunContext run{system, journal, deadline, first.request.vmid, warnings};
    const auto plan_again = [&] { return plan_recovery(system, first.request, first.vm, settings); };
    try {
        search_missing(run, first);
        auto plan = plan_again();
        if (missing_names(plan).empty()) return plan;
        for (const auto& card : plan.lost_cards)
            if (card.left_alone_because.empty()) search_card(run, plan, card);
        plan = plan_again();
        if (const auto names = missing_names(plan); !names.empty()) give_up_search(plan, names);
        return plan;
    } catch (const std::exception& error) {
        journal.undo_all(reason_of(error) == ErrorKind::stuck_write);
        throw;
    }
}

// A port that somebody's reset has left in reset: what is below it has not been seen as it is. True if one
// was let go.
bool clear_left_resets(System& system, const RecoveryPlan& plan, const Deadline& deadline,
                       std::vector<Advice>& warnings)
{
    Journal journal(system, plan.request.vmid);
    const RunContext run{system, journal, deadline, plan.request.vmid, warnings};
    bool cleared = false;
    for (const auto& card : plan.cards)
        for (const auto& bridge : card.held_in_reset)
            cleared |= clear_left_reset(run, bridge, card.settings.timeouts.reappear);
    return cleared;
}

// Plans, and again after each thing that has to be over, put right or found first. What that says is kept in
// front of the plan's own warnings.
RecoveryPlan settle(System& system, const Request& request, const VmFile& vm, const SettingsFile& settings,
                    const Deadline& deadline)
{
    const auto plan_again = [&] { return plan_recovery(system, request, vm, settings); };
    std::vector<Advice> said;
    auto plan = plan_again();
    if (plan.others_at_work) {
        wait_for_busy_writers(system, plan.settings);
        plan = plan_again();
    }
    if (plan.lost_bridge && has_its_numbers(system, *plan.lost_bridge)) plan = plan_again();
    if (!plan.refused && clear_left_resets(system, plan, deadline, said)) plan = plan_again();
    if (!plan.search.empty() && !plan.refused)
        plan = search_and_plan_again(system, plan, settings, deadline, said);
    say_warnings(system, plan);
    plan.warnings.insert(plan.warnings.begin(), said.begin(), said.end());
    return plan;
}

} // namespace

void take_host_lock(System& system, const Settings& settings)
{
    if (!system.lock(std::string(paths::lock), settings.timeouts.lock))
        throw Error(ErrorKind::timed_out, {"another recovery has not ended within " +
                                               in_seconds(settings.timeouts.lock) + " ('timeouts': 'lock')",
                                           "start the guest again when it has"});
}

void repair_before_planning(System& system, const Settings& settings)
{
    if (system.list(std::string(paths::journals)).empty()) return;
    constexpr bool pci_core_stuck = true;
    const auto within = settings.timeouts.rescan;
    repair_interrupted_runs(system, pci_core_stuck, within);
    if (wait_for_busy_writers(system, settings)) repair_interrupted_runs(system, !pci_core_stuck, within);
}

RecoveryPlan plan_recovery(const SysReader& reader, const Request& request, const VmFile& vm,
                           const SettingsFile& settings)
{
    auto plan = make_plan(read_vm_facts(reader, request, vm), settings);
    if (plan.nothing_to_do() || plan.refused) return plan;
    std::vector<Function> leaving;
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (function.goes_to_guest) leaving.push_back(function.facts);
    append(plan.warnings, container_warnings(reader, leaving));
    return plan;
}

void recover_gpu(System& system, const Request& request, const VmFile& vm, const SettingsFile& settings,
                 RecoveryPlan& plan, std::vector<StepReport>& steps)
{
    const auto named = read_named(system, request, vm);
    plan = make_plan(named, settings);
    if (named.devices.empty()) return say_warnings(system, plan);
    if (plan.settings.strategy == Strategy::off || !may_have_a_gpu(system, named)) { // waits for nobody
        plan = plan_recovery(system, request, vm, settings);
        if (plan.refused) throw Error(plan.refused->reason, plan.refused->advice);
        if (plan.nothing_to_do()) return say_warnings(system, plan);
    }
    const Deadline deadline(system, plan.settings.timeouts.total);
    take_host_lock(system, plan.settings);
    repair_before_planning(system, plan.settings);
    plan = settle(system, request, vm, settings, deadline);
    if (plan.refused) throw Error(plan.refused->reason, plan.refused->advice);
    if (plan.nothing_to_do())
        note_what_is_given_back(system, plan);
    else
        cycle_cards(system, plan, deadline, steps);
    claim_cards(system, plan);
}

} // namespace pvegpu
