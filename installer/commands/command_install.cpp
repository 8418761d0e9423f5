#include "base/error.hpp"
#include "base/text.hpp"
#include "changes/apply.hpp"
#include "changes/install_plan.hpp"
#include "changes/manifest.hpp"
#include "changes/show.hpp"
#include "commands/command_install_container.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "host/programs.hpp"
#include "host/pve_files.hpp"
#include "host/survey.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

constexpr Milliseconds other_run_ends_within{5'000};
constexpr Milliseconds reboot_begins_within{60'000};

void reboot(Session& session)
{
    session.console.progress("rebooting ...");
    const auto outcome =
        session.system.run({std::string(paths::systemctl_program), "reboot"}, reboot_begins_within);
    if (!outcome.done())
        throw Error(ErrorKind::failed, {"cannot reboot", "run 'reboot' yourself"}, "", outcome.error_number);
}

void say_remarks(Session& session, const InstallPlan& plan)
{
    for (const auto& note : plan.notes) session.system.say(Severity::info, note);
    for (const auto& warning : plan.warnings) session.system.say(Severity::warning, to_string(warning));
    for (const auto& reason : plan.reboot_reasons)
        session.system.say(Severity::info, "a reboot is needed: " + reason);
}

// Gone with the next boot, as all below /run. Answers whether it was made now.
bool note_for_next_boot(System& system, const std::vector<Change>& changes)
{
    const std::string path(paths::boot_files_changed);
    if (!changes_next_boot(changes) || system.exists(path)) return false;
    system.replace_file(path, "pve-gpu-install has changed files that the next boot reads\n");
    return true;
}

void forget_next_boot(System& system)
{
    system.remove_file(std::string(paths::boot_files_changed));
    system.remove_empty_directory(std::string(paths::run));
}

// What is left to do, in its order. The remarks have scrolled away above the differences by now.
std::vector<std::string> next_steps(const Session& session, const Survey& survey, const InstallPlan& plan)
{
    std::vector<std::string> steps;
    if (!plan.reboot_reasons.empty()) steps.push_back("reboot: " + join(plan.reboot_reasons, "; "));
    for (const auto& name : session.options.instances) {
        const auto* const guest = survey.find(number_of(name));
        if (steps.empty() && guest != nullptr && guest->running)
            steps.push_back(guest->instance->command("stop"));
        if (!session.options.host) steps.push_back("pve-gpu-install start --incus " + name.text());
    }
    for (const auto vmid : session.options.vms) {
        const auto number = std::to_string(vmid);
        const auto* const guest = survey.find(vmid);
        if (guest != nullptr && guest->config.is_template) continue;
        if (steps.empty() && guest != nullptr && guest->running) steps.push_back("qm shutdown " + number);
        if (!session.options.host) steps.push_back("pve-gpu-install try --vm " + number);
        steps.push_back("qm start " + number);
    }
    return steps;
}

int finish(Session& session, const Survey& survey, const InstallPlan& plan)
{
    const auto steps = next_steps(session, survey, plan);
    std::string text = steps.empty() ? "" : "Next:\n";
    for (std::size_t i = 0; i < steps.size(); ++i)
        text += "  " + std::to_string(i + 1) + ". " + printable(steps[i]) + "\n";
    session.console.print(text);
    if (plan.reboot_reasons.empty()) return exit_done;
    if (session.options.reboot) reboot(session);
    return exit_reboot;
}

} // namespace

void take_install_lock(System& system)
{
    if (!system.lock(std::string(paths::install_lock), other_run_ends_within))
        throw Error(ErrorKind::timed_out, {"another pve-gpu-install is at work", "wait until it has ended"});
}

void begin_change(Session& session)
{
    session.document = {{"schema", "pve-gpu-hook/install/1"}, {"changed", false}};
    require_host_of(session.system, session.options);
    take_install_lock(session.system);
    if (session.programs_run) require_cluster_file_system(session.system);
}

bool carry_out(Session& session, const std::string& shown, const std::vector<Change>& changes,
               const Manifest& before, const Manifest& after)
{
    const auto& options = session.options;
    session.console.print(shown);
    if (options.dry_run) return false;
    session.document["changed"] = false;
    if (!options.yes && !session.console.can_ask())
        throw Error(ErrorKind::failed, {"not a terminal, so nothing was changed", "add '--yes'"});
    if (!options.yes && !session.console.ask("Make these changes?"))
        throw Error(ErrorKind::interrupted, {"nothing is changed"});
    session.document["changed"] = nullptr; // where something fails the error says what is left
    const bool noted = note_for_next_boot(session.system, changes);
    try {
        apply(session.system, session.console, changes, before, after, session.programs_run);
    } catch (const Error&) {
        if (noted) forget_next_boot(session.system); // what had been done was undone
        throw;
    }
    if (after.empty()) forget_next_boot(session.system);
    session.document["changed"] = true;
    return true;
}

int install(Session& session)
{
    const auto& options = session.options;
    begin_change(session);
    const auto machines = options.machines();
    Prepared asked{options.vms, options.host && machines.empty(), {}, false};
    for (const auto& name : options.instances) asked.instances.push_back(name.text());
    for (const auto& name : options.instances) begin_with(session, name);
    const auto manifest = read_manifest(session.system);
    const auto survey = survey_host(session.system, asked);
    for (const auto& name : options.instances) require_instance(session.system, survey, name);
    const bool only_containers = machines.empty() && !options.host; // they need nothing of vfio
    auto plan =
        only_containers
            ? InstallPlan()
            : make_install_plan(survey, {machines, options.host, options.blacklist, options.guest_reboot});
    plan_containers(session, survey, manifest, plan);
    say_remarks(session, plan);
    confirm_losses(session, plan);
    const bool changes_something = !plan.changes.empty();
    session.document = install_json(plan);
    auto after = with_changes(manifest, plan.changes, plan.attachments, plan.instances);
    if (options.host) after.prepared = both(after.prepared, asked);
    const bool made =
        changes_something && carry_out(session, print_changes(plan.changes, session.console.screen()),
                                       plan.changes, manifest, after);
    if (options.dry_run || (changes_something && !made)) return exit_done; // only shown
    finish_containers(session);
    session.console.print(made ? "Done: " + sum_up(plan.changes) + ".\n" : "Nothing to change.\n");
    return finish(session, survey, plan);
}

} // namespace pvegpu
