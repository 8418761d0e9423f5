// pve-gpu-install start --incus NAME
#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "commands/watched.hpp"
#include "hook/phases.hpp"
#include "incus/start.hpp"
#include "incus/taken_devices.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

int show_plan(Session& session, const InstanceName& name)
{
    const auto instance = find_instance(session.system, name);
    require_stopped(session.system, instance);
    const auto plan =
        plan_for_instance(session.system, request_for(name), as_vm_file(session.system, instance));
    for (const auto& warning : plan.all_warnings()) session.system.say(Severity::warning, to_string(warning));
    if (plan.refused) session.system.say(Severity::error, to_string(plan.refused->advice));
    session.document["plans"].push_back(Json::parse(plan_json(plan)));
    session.console.print(plan_text(plan));
    if (!plan.refused) session.console.print("then: " + instance.command("start") + "\n");
    return plan.refused ? exit_failed : exit_done;
}

int start_one(Session& session, const InstanceName& name)
{
    take_instance_lock(session, name);
    session.system.log_for_guest(name.vm());
    StartedInstance result;
    const auto put_down = [&] {
        Json runs = Json::array();
        for (const auto& report : result.recoveries) runs.push_back(Json::parse(report_json(report)));
        session.document["starts"].push_back({{"instance", name.text()},
                                              {"started", result.started},
                                              {"pid", or_null(result.qemu)},
                                              {"recoveries", runs}});
    };
    try {
        start_instance(
            session.system, session.another_system, name,
            [&](std::string_view line) { session.console.progress(line); }, result);
    } catch (const Error&) {
        put_down();
        throw;
    }
    put_down();
    const auto has = result.qemu ? " with its GPU (pid " + std::to_string(*result.qemu) + ")" : std::string();
    session.console.print(name.vm() + " has started" + has + ".\n");
    return exit_done;
}

} // namespace

int start(Session& session)
{
    session.document = {{"schema", "pve-gpu-hook/start/1"},
                        {session.options.dry_run ? "plans" : "starts", Json::array()}};
    int result = exit_done;
    for (const auto& name : session.options.instances)
        result =
            std::max(result, session.options.dry_run ? show_plan(session, name) : start_one(session, name));
    return result;
}

} // namespace pvegpu
