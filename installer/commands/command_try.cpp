#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "commands/watched.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "host/pve_files.hpp"
#include "incus/start.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_config.hpp"

#include <algorithm>
#include <functional>

namespace pvegpu {
namespace {

// The first round finds the card as the host's boot left it, which is a false signal; the second finds it as
// a guest would leave it to us.
constexpr int rounds = 2;

void check(const SysReader& reader, unsigned vmid)
{
    const auto config = read_pve_file(reader, paths::vm_config(vmid));
    if (!config)
        throw Error(ErrorKind::not_found, {"there is no VM " + std::to_string(vmid) + " on this node",
                                           "'qm list' shows those that are"});
    if (parse_guest_config(*config).is_template)
        throw Error(ErrorKind::invalid_config,
                    {Guest{vmid, GuestKind::vm}.template_fact(), "try it with one of its clones"});
    if (vm_runs(reader, vmid))
        throw Error(ErrorKind::in_use, {"VM " + std::to_string(vmid) + " is running and its GPU is in use",
                                        "stop it first, 'qm shutdown " + std::to_string(vmid) + "'"});
}

// Its steps that were reached have been shown.
std::string end_of_round(int round, const Report& report)
{
    std::string text;
    for (const auto& step : report.steps)
        if (step.result == StepResult::not_reached) text += "  " + line_of(step) + "\n";
    return text + "round " + std::to_string(round) + ": " + to_string(report.outcome) + " in " +
           std::to_string(report.elapsed.count()) + " ms\n";
}

// What keeps a trial from trying anything, where the plan refuses nothing.
Advice why_not_tried(const PhasePlan& phase)
{
    const auto fact = "nothing was tried for " + phase.id().name() + ": ";
    const auto* const plan = std::get_if<RecoveryPlan>(&phase.plan);
    const auto missing = plan == nullptr ? std::vector<MissingFunction>{} : missing_functions(plan->devices);
    if (!missing.empty())
        return {fact + quote(missing.front().selector.text) + " (" + missing.front().device.key +
                    ") is not on the PCI bus",
                "correct the line ('lspci' shows what is there)"};
    if (plan != nullptr && plan->settings.strategy != Strategy::off)
        for (const auto& card : plan->cards)
            if (!card.card.port) return {fact + why_nothing(phase), card.card.instead};
    return {fact + why_nothing(phase)};
}

// None that the card would notice.
bool tries_nothing(const std::vector<StepReport>& steps)
{
    return std::ranges::none_of(steps,
                                [](const StepReport& step) { return step.result != StepResult::skipped; });
}

int show_plan(Session& session, const PhasePlan& plan)
{
    for (const auto& warning : plan.all_warnings()) session.system.say(Severity::warning, to_string(warning));
    if (plan.refused) session.system.say(Severity::error, to_string(plan.refused->advice));
    session.document["plans"].push_back(Json::parse(plan_json(plan)));
    session.console.print(plan_text(plan));
    const auto* const recovery = std::get_if<RecoveryPlan>(&plan.plan);
    const bool tries = recovery != nullptr && (!plan.steps().empty() || !recovery->search.empty());
    return plan.refused || !tries ? exit_failed : exit_done;
}

// `recover` checks that the VM may be touched, and recovers its card by the System that it is given.
int run_rounds(Session& session, unsigned number, const std::function<Report(System&)>& recover)
{
    int result = exit_done;
    for (int round = 1; round <= rounds && result == exit_done; ++round) {
        const auto system = session.another_system();
        Watched watched(*system, session.console);
        const auto report = recover(watched);
        session.document["runs"].push_back(Json::parse(report_json(report)));
        system->remove_file(paths::claim(number)); // nobody starts the VM, and others may have the card
        result = report.exit_status();
        if (result == exit_done && tries_nothing(report.steps))
            throw Error(ErrorKind::not_found, why_not_tried(report.plan));
        session.console.print(end_of_round(round, report));
    }
    return result;
}

int try_vm(Session& session, unsigned vmid)
{
    const Request request{vmid, Phase::pre_start, "", ""};
    check(session.system, vmid);
    if (session.options.dry_run) return show_plan(session, plan_phase(session.system, request));
    return run_rounds(session, vmid, [&](System& system) {
        check(system, vmid);
        return run_own_part(system, request);
    });
}

int try_instance(Session& session, const InstanceName& name)
{
    auto& system = session.system;
    const auto instance = find_instance(system, name);
    require_stopped(system, instance);
    if (session.options.dry_run)
        return show_plan(session, plan_for_instance(system, request_for(name), as_vm_file(system, instance)));
    take_instance_lock(session, name);
    repair_instances(system, session.another_system, name);
    return run_rounds(session, number_of(name), [&](System& for_recovery) {
        const auto now = find_instance(system, name);
        require_stopped(system, now);
        return recover_without_devices(system, for_recovery, now);
    });
}

} // namespace

int try_recovery(Session& session)
{
    require_host_of(session.system, session.options);
    session.document = {{"schema", "pve-gpu-hook/try/1"},
                        {session.options.dry_run ? "plans" : "runs", Json::array()}};
    int result = exit_done;
    for (const auto vmid : session.options.vms) result = std::max(result, try_vm(session, vmid));
    for (const auto& name : session.options.instances) result = std::max(result, try_instance(session, name));
    return result;
}

} // namespace pvegpu
