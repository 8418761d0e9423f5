// What `install` does for containers before and after its changes.
#include "commands/command_install_container.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/container_install_plan.hpp"
#include "containers/conflicts.hpp"
#include "containers/hard_coded.hpp"
#include "host/programs.hpp"
#include "host/shared_cards.hpp"
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
        throw Error(Reason::failed, {"'pct reboot " + number + "' failed", "see its output above"});
}

bool restart_is_wanted(Session& session, unsigned vmid)
{
    if (session.options.yes) return true;
    return !session.options.json && session.console.can_ask() &&
           session.console.ask("Restart container " + std::to_string(vmid) + " now?");
}

void look_at(Session& session, unsigned vmid)
{
    const auto now = [&] { return survey_container(session.system, vmid); };
    const auto reasons = restart_reasons(now().inside);
    if (reasons.empty()) return;
    const auto text = "container " + std::to_string(vmid) +
                      " runs without what its configuration names: " + join(reasons, ", ");
    session.system.say(Severity::info, text);
    if (!restart_is_wanted(session, vmid)) {
        session.system.say(Severity::warning, "container " + std::to_string(vmid) +
                                                  " has to be restarted: 'pct reboot " +
                                                  std::to_string(vmid) + "'");
        return;
    }
    restart(session, vmid);
    const auto left = restart_reasons(now().inside);
    if (!left.empty())
        throw Error(Reason::failed,
                    {"container " + std::to_string(vmid) + " was restarted, and still: " + join(left, ", "),
                     "see 'journalctl -t pve-gpu-hook'"});
}

// Proxmox looks at devN paths before it calls any hookscript.
void enable_boot_unit(const SysReader& reader, InstallPlan& plan)
{
    const std::string unit(paths::nodes_unit), link(paths::nodes_unit_enabled);
    if (reader.read_link(link)) return;
    if (reader.exists(unit))
        plan.changes.push_back(link_change(link, std::nullopt, unit,
                                           "the containers' device nodes have to be there at boot, before "
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
    if (options.yes || options.json || options.dry_run || !session.console.can_ask()) return false;
    const auto lines = hard_coded_lines(container).lines;
    return !lines.empty() && session.console.ask("Replace " + describe(lines) + " of container " +
                                                 std::to_string(container.vmid) + " by devN entries?");
}

void plan_container_of(Session& session, const Survey& survey, unsigned vmid, const Manifest& manifest,
                       InstallPlan& plan)
{
    const auto container = survey_container(session.system, vmid);
    const ContainerWishes wishes{session.options.gpus, may_replace(session, container)};
    add_container_changes(survey, container, wishes, manifest, plan);
}

} // namespace

void plan_containers(Session& session, const Survey& survey, const Manifest& manifest, InstallPlan& plan)
{
    std::vector<CardNodes> cards;
    for (const auto& function : survey.functions)
        if (function.passed)
            cards.push_back({function.facts.address, nodes_of_function(session.system, function.facts)});
    if (!session.options.vms.empty()) append(plan.warnings, shared_card_warnings(survey, cards));
    if (!session.options.containers.empty() && !survey.host.cluster.quorate)
        throw Error(Reason::failed,
                    {"no quorum: guest configurations are read-only", "see 'pvecm status'"});
    for (const auto vmid : session.options.containers)
        plan_container_of(session, survey, vmid, manifest, plan);
    if (!session.options.containers.empty()) enable_boot_unit(session.system, plan);
}

void finish_containers(Session& session)
{
    for (const auto vmid : session.options.containers) look_at(session, vmid);
}

} // namespace pvegpu
