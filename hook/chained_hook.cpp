#include "hook/chained_hook.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"

#include <sys/stat.h>

namespace pvegpu {
namespace {

bool is_plain_absolute(const std::string& path)
{
    return path.starts_with('/') && path.find("/../") == std::string::npos && !path.ends_with("/..");
}

bool only_root_can_change(const FileFacts& facts)
{
    return facts.owner == 0 && (facts.mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Whoever can write to a directory can put another file in the place of one in it, but for those with the
// sticky bit, in which everybody keeps his own. Empty if nobody can.
std::string directory_of_others(const SysReader& reader, const std::string& path)
{
    for (auto slash = path.rfind('/'); slash != std::string::npos && slash > 0;
         slash = path.rfind('/', slash - 1)) {
        auto directory = path.substr(0, slash);
        const auto facts = reader.file_facts(directory);
        const bool sticky = facts && (facts->mode & S_ISVTX) != 0;
        if (!facts || (!only_root_can_change(*facts) && !sticky)) return directory;
    }
    return "";
}

// It runs as root, so nobody else may be able to say what it does.
std::optional<Advice> why_not(const SysReader& reader, const std::string& path)
{
    // Bounded, so that a storage that does not answer is met here; what is asked next is known by then.
    if (reader.read_within(path, 1, storage_answers_within).still_running())
        return Advice{"its storage does not answer", "'pvesm status' shows which"};
    const auto facts = reader.file_facts(path);
    if (!facts || !facts->regular) return Advice{"it is not there", "bring it back"};
    const auto own = reader.file_facts(std::string(paths::own_program));
    if (own && own->same_file(*facts)) return Advice{"it is this program itself"};
    if (!only_root_can_change(*facts))
        return Advice{"others than root can change it", "'chown root:root' and 'chmod 755' fix that"};
    if (const auto directory = directory_of_others(reader, path); !directory.empty())
        return Advice{"others than root can put another file in its place, in " + quote(directory),
                      "'chown root:root' and 'chmod 755' fix that"};
    if ((facts->mode & S_IXUSR) == 0) return Advice{"it is not executable", "'chmod 755' fixes that"};
    return std::nullopt;
}

[[noreturn]] void fail(const ChainedHook& hook, const Advice& why)
{
    throw Error(ErrorKind::failed,
                {"the guest's other hookscript '" + hook.volume + "' " + why.fact, why.remedy}, hook.path);
}

// Proxmox tells a hookscript at an incoming migration where the guest comes from; programs are run with an
// environment of our own otherwise.
std::vector<std::string> arguments_of(const ChainedHook& hook, const Request& request)
{
    std::vector<std::string> words{hook.path, std::to_string(request.vmid), to_string(request.phase)};
    if (!request.migrated_from.empty())
        words.insert(words.begin(), {"/usr/bin/env", "PVE_MIGRATED_FROM=" + request.migrated_from});
    return words;
}

} // namespace

std::optional<ChainedHook> parse_chained_hook(std::string_view text)
{
    const auto json = Json::parse(text, nullptr, false);
    ChainedHook hook{text_in(json, "volume"), text_in(json, "path")};
    if (hook.volume.empty() || !is_plain_absolute(hook.path)) return std::nullopt;
    return hook;
}

void run_chained_hook(System& system, const Request& request, const std::function<Settings()>& settings)
{
    const auto file = paths::chained_hook(request.vmid);
    const auto text = system.read(file);
    if (!text) return;
    const auto hook = parse_chained_hook(*text);
    if (!hook)
        throw Error(ErrorKind::failed,
                    {"does not name the guest's other hookscript",
                     "'pve-gpu-install detach' and install it again, or remove this file to go without it"},
                    file);
    if (const auto why = why_not(system, hook->path))
        fail(*hook, {"is not run: " + why->fact, (why->remedy.empty() ? "" : why->remedy + "; ") +
                                                     "to go without it remove " + quote(file)});
    const auto within = settings().timeouts.chained;
    const auto outcome = system.run(arguments_of(*hook, request), within, [&](std::string_view line) {
        system.say(Severity::info, "'" + hook->volume + "': " + std::string(line));
    });
    if (outcome.still_running())
        fail(*hook, {"did not end within " + in_seconds(within) + " ('timeouts': 'chained') and was killed"});
    if (outcome.refused())
        fail(*hook, {"failed with exit status " + std::to_string(outcome.error_number),
                     "what it printed stands above"});
}

} // namespace pvegpu
