#include "recovery/recover_gpu.hpp"

#include "containers/conflicts.hpp"
#include "containers/prepare.hpp"
#include "machine/paths.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/journal.hpp"
#include "recovery/known_cards.hpp"
#include "recovery/port.hpp"
#include "recovery/power.hpp"
#include "recovery/recover_card.hpp"
#include "recovery/search.hpp"
#include "recovery/writes.hpp"
#include "usage/claims.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Steps of a run that was refused, in the report as never reached.
void list_planned_steps(Report& report)
{
    for (const auto& card : report.plan.cards)
        for (const auto& step : card.steps) report.steps.push_back({step, StepResult::not_reached, {}, ""});
}

// Other people's work on the PCI bus ends by itself. One that waits for a VM may never: waiting is over at
// once, and the plan refuses it; others that wait behind it are not to blame. False if there is such a one.
bool wait_for_busy_writers(System& system, const Settings& settings)
{
    std::vector<PciWriter> writers;
    const auto nobody_works = [&] {
        writers = find_pci_writers(system);
        return writers.empty() ||
               std::any_of(writers.begin(), writers.end(), [](const PciWriter& one) { return one.stuck; });
    };
    if (system.wait_until(nobody_works, settings.timeouts.busy)) return writers.empty();
    throw Error(Reason::stuck_writer, "pid " + std::to_string(writers.front().pid) + " (" +
                                          writers.front().program + ") has been in the kernel's '" +
                                          writers.front().where + "' for " +
                                          std::to_string(settings.timeouts.busy.count() / 1000) +
                                          " s ('timeouts': 'busy'); start the guest again when it has "
                                          "ended; if it does not, the host has to be rebooted");
}

void refuse_if_planned(const Plan& plan)
{
    if (plan.refused) throw Error(plan.refused->reason, plan.refused->detail);
}

// Between our exit and the moment when QEMU opens the device nobody else holds it.
void claim_cards(System& system, const Plan& plan)
{
    const pid_t parent = system.parent_pid();
    const auto started = start_time(system, parent);
    if (parent == 1 || started == 0) return; // the task is gone already, and nobody would end the claim
    Claim claim;
    claim.vmid = plan.request.vmid;
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (function.to_vfio) claim.functions.push_back(function.address());
    if (claim.functions.empty()) return;
    claim.parent = {parent, started};
    system.replace_file(paths::claim(claim.vmid), print_claim(claim));
}

void say_warnings(System& system, const Plan& plan)
{
    for (const auto& warning : plan.warnings) system.say(Severity::warning, warning);
}

// The console that was taken off a card is given back when the guest has stopped.
void keep_console_for_the_stop(System& system, const Journal& journal, GuestState& state)
{
    for (const auto& undo : journal.entries())
        if (undo.path.starts_with(paths::virtual_consoles)) state.console.push_back({undo.path, undo.text});
    save_guest_state(system, state);
}

// After a failure, whose own message must not be lost.
void let_sleep_again(System& system, const GuestState& state)
{
    try {
        restore_power(system, state);
    } catch (const std::exception& error) {
        system.say(Severity::warning, std::string("the card and its ports are kept awake: ") + error.what());
    }
}

void note_what_is_given_back(System& system, const Plan& plan)
{
    const auto state = note_guest_state(system, plan);
    if (!state.functions.empty()) save_guest_state(system, state);
}

void recover_cards(System& system, Report& report, const Deadline& deadline)
{
    const unsigned vmid = report.plan.request.vmid;
    Journal journal(system, vmid);
    const Run run{system, journal, deadline, vmid, report.plan.warnings};
    auto state = note_guest_state(system, report.plan);
    save_guest_state(system, state);
    try {
        for (auto& card : report.plan.cards)
            if (!card.steps.empty()) recover_card(run, report.plan, card, report.steps);
        for (const auto& card : report.plan.cards)
            if (!card.steps.empty()) save_known_card(system, card);
        state = note_guest_state(system, report.plan);
        for (const auto& card : report.plan.cards)
            if (!card.steps.empty()) choose_reset_methods(run, card, state);
        keep_console_for_the_stop(system, journal, state);
        journal.close();
    } catch (const std::exception& error) {
        journal.undo_all(reason_of(error) == Reason::stuck_write);
        if (reason_of(error) != Reason::stuck_write) let_sleep_again(system, state);
        throw;
    }
}

// What is missing, and is not expected to come back with a card that is reset and found again.
std::string missing_names(const Plan& plan)
{
    std::string names;
    for (const auto& [device, selector] : missing_functions(plan.devices))
        if (!plan.is_looked_for(selector))
            names += (names.empty() ? "'" : ", '") + selector.text + "' (" + device.key + ")";
    return names;
}

// The search has found nothing: the strongest cure decides what is said.
[[noreturn]] void give_up_search(const Plan& plan, const std::string& names)
{
    for (const auto& card : plan.lost_cards)
        if (!card.left_alone_because.empty())
            throw Error(Reason::not_found,
                        names + " is not on the PCI bus and does not come back; all that is below port '" +
                            to_string(card.port) + "' would have to be reset, which is not done because " +
                            card.left_alone_because + "; stop what uses it and start the guest again, else " +
                            (card.has_lost_numbers ? "reboot the host" : "switch the host off and on"));
    throw Error(
        Reason::not_found,
        names +
            " is not on the PCI bus and does not come back, though its port was reset; switch the host off "
            "and on, or correct the guest's hostpci lines");
}

Plan search_and_plan_again(System& system, const Plan& first, const SettingsFile& settings,
                           const Deadline& deadline, std::vector<std::string>& warnings)
{
    Journal journal(system, first.request.vmid);
    const Run run{system, journal, deadline, first.request.vmid, warnings};
    const auto plan_again = [&] {
        return plan_recovery(system, first.request, settings, system.wall_clock());
    };
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
        journal.undo_all(reason_of(error) == Reason::stuck_write);
        throw;
    }
}

// A port that somebody's reset has left in reset: what is below it has not been seen as it is. True if one
// was let go.
bool clear_left_resets(System& system, const Plan& plan, const Deadline& deadline,
                       std::vector<std::string>& warnings)
{
    Journal journal(system, plan.request.vmid);
    const Run run{system, journal, deadline, plan.request.vmid, warnings};
    bool cleared = false;
    for (const auto& card : plan.cards)
        for (const auto& bridge : card.held_in_reset)
            cleared |= clear_left_reset(run, bridge, card.settings.timeouts.reappear);
    return cleared;
}

void run_story(System& system, const SettingsFile& settings, Report& report)
{
    const Request request = report.plan.request;
    Situation guest;
    guest.request = request;
    if (!may_have_a_gpu(system, guest)) {
        if (!guest.wanted.empty()) return prepare_container(system, guest, settings, report);
        report.plan = make_plan(guest, settings);
        return say_warnings(system, report.plan);
    }
    const Settings wishes = settings.for_guest(request.vmid);
    if (wishes.strategy == Strategy::off) {
        report.plan = plan_recovery(system, request, settings, system.wall_clock());
        if (report.plan.nothing_to_do()) return say_warnings(system, report.plan); // waits for nobody
    }
    const Deadline deadline(system, wishes.timeouts.total);
    take_host_lock(system, wishes);
    repair_before_planning(system, wishes);
    report.plan = plan_recovery(system, request, settings, system.wall_clock());
    if (report.plan.others_at_work) {
        wait_for_busy_writers(system, wishes);
        report.plan = plan_recovery(system, request, settings, system.wall_clock());
    }
    if (report.plan.lost_bridge && has_its_numbers(system, *report.plan.lost_bridge))
        report.plan = plan_recovery(system, request, settings, system.wall_clock());
    std::vector<std::string> said; // already
    if (!report.plan.refused && clear_left_resets(system, report.plan, deadline, said))
        report.plan = plan_recovery(system, request, settings, system.wall_clock());
    if (!report.plan.search.empty() && !report.plan.refused)
        report.plan = search_and_plan_again(system, report.plan, settings, deadline, said);
    say_warnings(system, report.plan);
    report.plan.warnings.insert(report.plan.warnings.begin(), said.begin(), said.end());
    refuse_if_planned(report.plan);
    if (report.plan.nothing_to_do())
        note_what_is_given_back(system, report.plan);
    else
        recover_cards(system, report, deadline);
    claim_cards(system, report.plan);
}

RunOutcome outcome_of(Reason reason)
{
    switch (reason) {
    case Reason::in_use:
    case Reason::stuck_writer:
    case Reason::sriov_parent:
    case Reason::not_found:
    case Reason::invalid_config:
    case Reason::needs_power_cycle:
        return RunOutcome::refused;
    default:
        return RunOutcome::failed;
    }
}

RunOutcome good_outcome(const Report& report)
{
    if (!report.plan.warnings.empty()) return RunOutcome::warned;
    return report.steps.empty() ? RunOutcome::nothing_to_do : RunOutcome::recovered;
}

bool lacks_nodes(const Report& report)
{
    return std::any_of(report.plan.nodes.begin(), report.plan.nodes.end(),
                       [](const NodeFacts& node) { return !node.present; });
}

std::string summary(const Report& report)
{
    if (report.plan.guest == GuestKind::container)
        return "prepared the container's device nodes in " + std::to_string(report.elapsed.count()) + " ms";
    const bool reset = std::any_of(report.steps.begin(), report.steps.end(), [](const StepReport& one) {
        return one.step.op == Op::reset && one.result == StepResult::done;
    });
    std::string text = (reset ? "recovered the GPU in " : "found the GPU again, but did not reset it, in ") +
                       std::to_string(report.elapsed.count()) + " ms:";
    for (const auto& card : report.plan.cards)
        for (const auto& function : card.functions)
            if (!card.steps.empty() && function.role == Role::gpu)
                text += " '" + to_string(function.address()) + "'";
    return text;
}

} // namespace

void take_host_lock(System& system, const Settings& settings)
{
    if (!system.lock(std::string(paths::lock), settings.timeouts.lock))
        throw Error(Reason::timed_out, "another recovery has not ended within " +
                                           std::to_string(settings.timeouts.lock.count() / 1000) +
                                           " s ('timeouts': 'lock'); start the guest again when it has");
}

void repair_before_planning(System& system, const Settings& settings)
{
    if (system.list(std::string(paths::journals)).empty()) return;
    constexpr bool pci_core_stuck = true;
    const auto within = settings.timeouts.rescan;
    repair_interrupted_runs(system, pci_core_stuck, within);
    if (wait_for_busy_writers(system, settings)) repair_interrupted_runs(system, !pci_core_stuck, within);
}

SettingsFile read_settings(const SysReader& reader)
{
    const std::string path(paths::settings);
    const auto text = reader.read(path);
    if (!text && reader.exists(path)) throw Error(Reason::invalid_config, "cannot be read", path);
    return SettingsFile::parse(text.value_or("{}"), path);
}

Plan plan_recovery(const SysReader& reader, const Request& request, const SettingsFile& settings,
                   std::int64_t wall_clock)
{
    const auto situation = read_situation(reader, request, wall_clock);
    if (!situation.wanted.empty())
        return plan_container(reader, situation, settings.for_guest(request.vmid), wall_clock);
    auto plan = make_plan(situation, settings);
    if (!plan.nothing_to_do() && !plan.refused)
        for (auto& warning : container_warnings(reader, plan)) plan.warnings.push_back(std::move(warning));
    return plan;
}

Report recover_gpu(System& system, const Request& request)
{
    Report report;
    report.plan.request = request;
    report.started = system.wall_clock();
    const TimePoint begin = system.now();
    try {
        run_story(system, read_settings(system), report);
        report.outcome = good_outcome(report);
    } catch (const std::exception& error) {
        report.outcome = outcome_of(reason_of(error));
        report.error = error.what();
        if (report.outcome == RunOutcome::refused && !report.plan.refused)
            report.plan.refused = Refusal{reason_of(error), error.what()};
        if (report.steps.empty()) list_planned_steps(report);
    }
    report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
    if (!report.error.empty())
        system.say(Severity::error, report.error);
    else if (!report.steps.empty() && !lacks_nodes(report))
        system.say(Severity::info, summary(report));
    return report;
}

} // namespace pvegpu
