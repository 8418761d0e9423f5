#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "commands/commands.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// The first round finds the card as the host's boot left it, which is a false signal; the second finds it as
// a guest would leave it to us.
constexpr int rounds = 2;

void check(const SysReader& reader, unsigned vmid)
{
    if (!read_pve_file(reader, paths::vm_config(vmid)))
        throw Error(Reason::not_found, {"there is no VM " + std::to_string(vmid) + " on this node",
                                        "'qm list' shows those that are"});
    if (vm_runs(reader, vmid))
        throw Error(Reason::in_use, {"VM " + std::to_string(vmid) + " is running and its GPU is in use",
                                     "stop it first, 'qm shutdown " + std::to_string(vmid) + "'"});
}

std::string print_round(int round, const Report& report)
{
    std::string text = "round " + std::to_string(round) + ": " + to_string(report.outcome) + " in " +
                       std::to_string(report.elapsed.count()) + " ms\n";
    for (const auto& step : report.steps)
        text += "  " + step.op + " " + step.target + "  " + std::to_string(step.elapsed.count()) + " ms" +
                (step.detail.empty() ? "" : "  " + printable(step.detail)) + "\n";
    return text;
}

int show_plan(Session& session, const Request& request)
{
    const auto& system = session.system;
    const auto plan = plan_phase(system, request);
    for (const auto& warning : plan.all_warnings()) session.system.say(Severity::warning, to_string(warning));
    if (plan.refused) session.system.say(Severity::error, to_string(plan.refused->advice));
    session.console.print(session.options.json ? plan_json(plan) : plan_text(plan));
    return plan.refused ? exit_failed : exit_done;
}

int run_rounds(Session& session, const Request& request, Json& runs)
{
    int result = exit_done;
    for (int round = 1; round <= rounds && result == exit_done; ++round) {
        const auto system = session.another_system();
        check(*system, request.vmid);
        const auto report = run_own_part(*system, request);
        system->remove_file(paths::claim(request.vmid)); // nobody starts the VM, and others may have the card
        if (!session.options.json) session.console.print(print_round(round, report));
        runs.push_back(Json::parse(report_json(report)));
        result = report.exit_status();
        if (report.outcome == RunOutcome::nothing_to_do)
            throw Error(Reason::not_found, {"nothing was tried for VM " + std::to_string(request.vmid) +
                                            ": " + why_nothing(report.plan)});
    }
    return result;
}

} // namespace

int try_recovery(Session& session)
{
    auto runs = Json::array();
    int result = exit_done;
    for (const auto vmid : session.options.vms) {
        const Request request{vmid, Phase::pre_start, ""};
        check(session.system, vmid);
        const int one =
            session.options.dry_run ? show_plan(session, request) : run_rounds(session, request, runs);
        result = std::max(result, one);
    }
    if (session.options.json && !session.options.dry_run)
        session.console.print(print(Json{{"schema", "pve-gpu-hook/try/1"}, {"runs", runs}}));
    return result;
}

} // namespace pvegpu
