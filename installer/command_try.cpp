#include "commands.hpp"
#include "error.hpp"
#include "paths.hpp"
#include "pve_files.hpp"
#include "recover_gpu.hpp"
#include "text.hpp"

#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

// The first round finds the card as the host's boot left it, which is a false signal; the second finds it as
// a guest would leave it to us.
constexpr int rounds = 2;

bool runs(const SysReader& reader, unsigned vmid)
{
    const auto text = reader.read(paths::pve_pid_file(vmid));
    const auto pid = text ? parse_decimal(trim(*text)) : std::nullopt;
    return pid && reader.exists(paths::process(static_cast<pid_t>(*pid)));
}

void check(const SysReader& reader, unsigned vmid)
{
    if (!read_pve_file(reader, paths::vm_config(vmid)))
        throw Error(Reason::not_found, "there is no VM " + std::to_string(vmid) +
                                           " on this node; 'qm list' shows those that are");
    if (runs(reader, vmid))
        throw Error(Reason::in_use, "VM " + std::to_string(vmid) +
                                        " is running and its GPU is in use; stop it first, 'qm shutdown " +
                                        std::to_string(vmid) + "'");
}

std::string print_round(int round, const Report& report)
{
    std::string text = "round " + std::to_string(round) + ": " + to_string(report.outcome) + " in " +
                       std::to_string(report.elapsed.count()) + " ms\n";
    for (const auto& step : report.steps)
        text += "  " + to_string(step.step.op) + " " + step.step.target() + "  " +
                std::to_string(step.elapsed.count()) + " ms" +
                (step.detail.empty() ? "" : "  " + printable(step.detail)) + "\n";
    return text;
}

int show_plan(Session& session, const Request& request)
{
    const auto& system = session.system;
    const auto plan = plan_recovery(system, request, read_settings(system), system.wall_clock());
    if (plan.refused) session.system.say(Severity::error, plan.refused->detail);
    session.console.print(plan_json(plan));
    return plan.refused ? exit_failed : exit_done;
}

} // namespace

int try_recovery(Session& session)
{
    if (session.options.vms.size() != 1)
        throw Error(Reason::not_found,
                    "which VM? 'pve-gpu-install try --vm 101' tries the recovery of its GPU");
    const Request request{session.options.vms.front(), Phase::pre_start, ""};
    check(session.system, request.vmid);
    if (session.options.dry_run) return show_plan(session, request);
    auto reports = nlohmann::ordered_json::array();
    int result = exit_done;
    for (int round = 1; round <= rounds && result == exit_done; ++round) {
        const auto system = session.another_system();
        check(*system, request.vmid);
        const auto report = recover_gpu(*system, request);
        if (!session.options.json) session.console.print(print_round(round, report));
        reports.push_back(nlohmann::ordered_json::parse(report_json(report)));
        result = report.exit_status();
    }
    if (session.options.json) session.console.print(reports.dump(2) + "\n");
    return result;
}

} // namespace pvegpu
