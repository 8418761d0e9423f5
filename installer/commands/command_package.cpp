// What the package's maintainer scripts call. They run unattended and in the middle of an upgrade, so each
// goes on as far as it can and says what it could not do.
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "changes/apply.hpp"
#include "changes/removal_survey.hpp"
#include "changes/remove_plan.hpp"
#include "commands/commands.hpp"
#include "events/notes.hpp"
#include "events/reader_unit.hpp"
#include "host/programs.hpp"
#include "host/stub.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/vm_args.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using References = std::optional<std::vector<HookReference>>;

// --- after the package was unpacked ---

bool needs_repair(const SysReader& reader, const ManifestEntry& entry)
{
    if (reader.read_link(entry.path)) return false; // to the hook, or where the administrator let it lead
    if (reader.exists(entry.path)) return is_stub(reader, entry.path);
    return reader.exists(entry.path.substr(0, entry.path.rfind('/'))); // else its storage is not mounted
}

void repair(System& system, const ManifestEntry& entry)
{
    try {
        if (!needs_repair(system, entry)) return;
        link_to_hook(system, entry.path);
        system.say(Severity::info, "'" + entry.path + "' leads to the hook again");
    } catch (const Error& error) {
        system.say(Severity::warning, error.what());
    }
}

// Of VMs that run with our monitor, whatever their configuration says by now: the words are on QEMU's command
// line. Those that run already were started anew by the package.
void start_readers(System& system)
{
    constexpr std::size_t longest_command_line = 1U
                                                 << 20U; // what we look for stands behind Proxmox's own words
    constexpr Milliseconds answers_within{2'000};        // its reader waits for the process's memory
    for (const auto& name : system.list(std::string(paths::pve_run))) {
        const auto vmid = name.ends_with(".pid") ? parse_vmid(name.substr(0, name.size() - 4)) : std::nullopt;
        const auto qemu = vmid ? qemu_of(system, *vmid) : std::nullopt;
        if (!qemu) continue;
        const auto line =
            system.read_within(paths::process(qemu->pid, "cmdline"), longest_command_line, answers_within);
        if (line.text.find("id=" + std::string(monitor_name) + ",") == std::string::npos) continue;
        if (const auto problem = start_reader(system, *vmid))
            system.say(Severity::warning, "VM " + std::to_string(*vmid) + ": " + to_string(*problem));
    }
}

// --- after the package's files are gone, for good ---

std::vector<HookReference> references_to(const References& references, const std::vector<Storage>& storages,
                                         const std::string& path)
{
    std::vector<HookReference> result;
    for (const auto& one : *references)
        if (snippet_path(storages, one.volume) == path) result.push_back(one);
    return result;
}

bool is_needed(System& system, const References& references, const std::vector<Storage>& storages,
               const std::string& path)
{
    const auto found = references ? references_to(references, storages, path) : std::vector<HookReference>{};
    if (references && found.empty()) return false;
    system.say(Severity::warning, quote(path) + " stays, a script that does nothing: " +
                                      (references ? name_guests(found, "") + " refers to it"
                                                  : std::string("the guests cannot be looked at")) +
                                      "; remove it once no guest does");
    return true;
}

// The host's files. Their directories and the guests' notes go with the package's state.
Manifest without_snippets(Manifest manifest)
{
    std::erase_if(manifest.entries, [](const auto& entry) { return entry.leads_to_hook(); });
    manifest.attachments.clear();
    return manifest;
}

void undo(Session& session, const Manifest& rest)
{
    auto survey = survey_what_can_be_seen(session.system, rest);
    if (!survey)
        throw Error(ErrorKind::failed,
                    {"this is no Proxmox VE host any more, so what the installer changed is left as it is"});
    survey->guests.clear();
    const auto plan = make_uninstall_plan(*survey, rest, {});
    for (const auto& warning : plan.warnings) session.system.say(Severity::warning, to_string(warning));
    apply(session.system, session.console, plan.changes, rest, plan.left);
}

// What the removal could not take back, once more: afterwards nobody knows of it.
bool undo_the_rest(Session& session, const Manifest& rest)
{
    if (rest.entries.empty()) return true;
    const std::string state(paths::install_state);
    try {
        undo(session, rest);
        return true;
    } catch (const Error& error) {
        session.system.say(Severity::warning,
                           std::string(error.what()) + "; what was changed stays written down: '" + state +
                               "/purge uninstall' tries again, then remove " + quote(state));
        return false;
    }
}

} // namespace

Manifest read_manifest_or_none(System& system)
{
    try {
        return read_manifest(system);
    } catch (const Error& error) {
        system.say(Severity::warning, error.what());
        return {};
    }
}

int package_configured(Session& session)
{
    for (const auto& entry : read_manifest_or_none(session.system).entries)
        if (entry.leads_to_hook()) repair(session.system, entry);
    start_readers(session.system);
    return exit_done;
}

int package_purge(Session& session)
{
    auto& system = session.system;
    const auto manifest = read_manifest_or_none(system);
    const auto references = read_hook_references(system);
    const auto storages =
        parse_storages(references ? read_pve_file(system, paths::pve_storages).value_or("") : "");
    for (const auto& entry : manifest.entries)
        if (entry.leads_to_hook() && is_stub(system, entry.path) &&
            !is_needed(system, references, storages, entry.path))
            system.remove_file(entry.path);
    const bool undone = undo_the_rest(session, without_snippets(manifest));
    std::for_each(manifest.directories.rbegin(), manifest.directories.rend(),
                  [&](const auto& made) { system.remove_empty_directory(made); });
    return undone ? exit_done : exit_failed;
}

} // namespace pvegpu
