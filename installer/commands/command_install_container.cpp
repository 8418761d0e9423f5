// What `install` does for containers before and after its changes.
#include "commands/command_install_container.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/container_install_plan.hpp"
#include "changes/install_plan.hpp"
#include "changes/manifest.hpp"
#include "containers/conflicts.hpp"
#include "containers/container_start.hpp"
#include "containers/hard_coded.hpp"
#include "host/programs.hpp"
#include "host/survey.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// pct reboot stops the container, for which it has a minute, and starts it, hooks included.
constexpr Milliseconds restarted_within{5 * 60 * 1000};

void restart(Session& session, unsigned vmid)
{
    const auto number = std::to_string(vmid);
    session.console.progress("running 'pct reboot " + number + "' ...");
    const auto outcome = session.system.run({std::string(programs::pct), "reboot", number}, restarted_within);
    for (LineReader lines(outcome.text); lines.next() && !outcome.done();)
        session.system.say(Severity::info, lines.line());
    if (!outcome.done())
        throw Error(ErrorKind::failed, {"'pct reboot " + number + "' failed", "see its output above"});
}

bool restart_is_wanted(Session& session, unsigned vmid)
{
    if (session.options.yes) return true;
    return session.console.can_ask() &&
           session.console.ask("Restart container " + std::to_string(vmid) + " now?");
}

void look_at(Session& session, unsigned vmid)
{
    const auto reasons = [&] {
        return join(restart_reasons(survey_container(session.system, vmid).inside), ", ");
    };
    const auto before = reasons();
    if (before.empty()) return;
    const auto name = "container " + std::to_string(vmid);
    session.system.say(Severity::info, name + " runs without what its configuration names: " + before);
    if (!restart_is_wanted(session, vmid))
        return session.system.say(Severity::warning,
                                  name + " has to be restarted: 'pct reboot " + std::to_string(vmid) + "'");
    restart(session, vmid);
    if (const auto left = reasons(); !left.empty())
        throw Error(ErrorKind::failed,
                    {name + " was restarted, and still: " + left, "see 'journalctl -t pve-gpu-hook'"});
}

// What was to be made is there: a program that says it has done its work proves nothing, and a driver may
// make its nodes a moment after it was loaded.
void require_nodes(Session& session, unsigned vmid)
{
    constexpr Milliseconds made_within{5'000};
    StartForecast forecast;
    session.system.wait_until(
        [&] {
            const auto container = survey_container(session.system, vmid);
            forecast = forecast_start(container, container.config);
            return forecast.missing.empty();
        },
        made_within);
    auto refusals = forecast.refusals;
    for (const auto& path : forecast.missing)
        refusals.push_back({quote(path) + " is still not on the host",
                            "see 'pve-gpu-install check --ct " + std::to_string(vmid) + "'"});
    if (!refusals.empty()) throw Error(ErrorKind::failed, cannot_start(vmid, refusals));
}

// Proxmox looks at devN paths before it calls any hookscript.
void enable_boot_unit(const SysReader& reader, InstallPlan& plan)
{
    const std::string unit(paths::nodes_unit), link(paths::nodes_unit_enabled);
    if (reader.read_link(link)) return;
    if (reader.exists(unit))
        plan.changes.push_back(
            link_change(link, std::nullopt, unit,
                        "because the containers' device nodes have to be there at boot, before "
                        "Proxmox looks at them"));
    else
        plan.notes.push_back("'" + unit +
                             "' is not installed, so nothing makes device nodes at boot before "
                             "Proxmox looks at a container's 'devN'; install the package");
}

bool may_replace(Session& session, const ContainerSurvey& container)
{
    const auto& options = session.options;
    if (options.replace_hard_coded) return true;
    if (options.yes || options.dry_run || !session.console.can_ask()) return false;
    const auto lines = hard_coded_lines(container).lines;
    return !lines.empty() && session.console.ask("Replace " + describe(lines) + " of container " +
                                                 std::to_string(container.vmid) + " by devN entries?");
}

// Of VMs and containers of this node that name one card.
void warn_of_shared_cards(const SysReader& reader, const Survey& survey, InstallPlan& plan)
{
    std::vector<CardNodes> cards;
    for (const auto& function : survey.functions)
        if (function.passed) cards.push_back(nodes_of_function(reader, function.facts));
    for (const auto& guest : survey.guests) {
        const auto wanted = wanted_nodes(guest.lxc, guest.lxc.devices_at_next_start());
        const auto* card = find_where(cards, [&](const CardNodes& one) {
            return guest.id.is_container() && node_of_card(wanted, one) != nullptr;
        });
        if (card != nullptr)
            plan.warnings.push_back(
                {guest.id.name() + " is given device nodes of " + quote(card->function) + " too",
                 "it loses them while the VM runs"});
    }
}

} // namespace

void plan_containers(Session& session, const Survey& survey, const Manifest& manifest, InstallPlan& plan)
{
    if (!session.options.vms.empty()) warn_of_shared_cards(session.system, survey, plan);
    if (!session.options.containers.empty() && !survey.host.cluster.quorate)
        throw Error(ErrorKind::failed,
                    {"no quorum: guest configurations are read-only", "see 'pvecm status'"});
    for (const auto vmid : session.options.containers) {
        const auto container = survey_container(session.system, vmid);
        add_container_changes(survey, container,
                              {session.options.gpus, may_replace(session, container), session.options.mig},
                              manifest, plan);
    }
    if (!session.options.containers.empty()) enable_boot_unit(session.system, plan);
}

void confirm_losses(Session& session, const InstallPlan& plan)
{
    const auto& options = session.options;
    if (plan.losses.empty() || options.yes || options.dry_run || !session.console.can_ask())
        return; // agreed to; or nothing is changed, for without '--yes' somebody has to be asked
    if (!session.console.ask(join(plan.losses, ", ") + ". Go on?"))
        throw Error(ErrorKind::interrupted, {"nothing is changed"});
}

void finish_containers(Session& session)
{
    for (const auto vmid : session.options.containers) {
        if (session.programs_run) require_nodes(session, vmid);
        look_at(session, vmid);
    }
}

} // namespace pvegpu
