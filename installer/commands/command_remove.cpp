#include "base/error.hpp"
#include "changes/removal_survey.hpp"
#include "changes/remove_plan.hpp"
#include "changes/show.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "host/pve_files.hpp"
#include "incus/taken_devices.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// A tree of files need not have the list of guests.
std::vector<HookReference> references(const Session& session)
{
    const auto known = read_hook_references(session.system);
    if (!is_proxmox_host(session.system)) return {};
    if (!known && session.programs_run)
        throw Error(ErrorKind::failed,
                    {"it cannot be known which guests need the hook", "see 'systemctl status pve-cluster'"});
    return known.value_or(std::vector<HookReference>{});
}

int carry_out_removal(Session& session, const RemovePlan& plan, const Manifest& manifest)
{
    for (const auto& warning : plan.warnings) session.system.say(Severity::warning, to_string(warning));
    InstallPlan shown;
    shown.changes = plan.changes;
    shown.warnings = plan.warnings;
    const bool something = !plan.changes.empty() || plan.left != manifest;
    session.document = install_json(shown);
    const bool made = something && carry_out(session, print_changes(plan.changes, session.console.screen()),
                                             plan.changes, manifest, plan.left);
    if (made || !something)
        session.console.print(made
                                  ? "Done" + (plan.changes.empty() ? "" : ": " + sum_up(plan.changes)) + ".\n"
                                  : "Nothing to change.\n");
    if (made && std::ranges::any_of(plan.changes, &Change::rebuilds))
        session.system.say(Severity::info,
                           "the running kernel keeps what it was started with until the next reboot");
    return exit_done;
}

} // namespace

int detach(Session& session)
{
    const auto& options = session.options;
    begin_change(session);
    for (const auto& name : options.instances) begin_with(session, name);
    const auto manifest = read_manifest(session.system);
    auto vmids = options.vms;
    append(vmids, options.containers);
    const auto plan =
        make_detach_plan(survey_for_removal(session.system, manifest), manifest, vmids, options.instances);
    return carry_out_removal(session, plan, manifest);
}

int uninstall(Session& session)
{
    begin_change(session);
    const auto manifest = read_manifest(session.system);
    for (const auto& taken : read_taken(session.system)) begin_with(session, taken.name);
    const auto plan =
        make_uninstall_plan(survey_for_removal(session.system, manifest), manifest, references(session));
    return carry_out_removal(session, plan, manifest);
}

} // namespace pvegpu
