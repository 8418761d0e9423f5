#include "changes/removal_survey.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "hook/chained_hook.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

namespace pvegpu {
namespace {

// The cluster file system as it is while pve-cluster is stopped. All of it: where it hangs, whoever looks at
// a directory of it waits for ever.
class WithoutProxmox : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;
    std::optional<std::string> read(const std::string& path) const override
    {
        return is_away(path) ? std::nullopt : ForwardingSystem::read(path);
    }
    std::optional<std::string> read_link(const std::string& path) const override
    {
        return is_away(path) ? std::nullopt : ForwardingSystem::read_link(path);
    }
    std::vector<std::string> list(const std::string& path) const override
    {
        return is_away(path) ? std::vector<std::string>{} : ForwardingSystem::list(path);
    }
    std::vector<std::string> list_directories(const std::string& path) const override
    {
        return is_away(path) ? std::vector<std::string>{} : ForwardingSystem::list_directories(path);
    }
    bool exists(const std::string& path) const override
    {
        return !is_away(path) && ForwardingSystem::exists(path);
    }
    std::optional<DeviceNumber> device_number(const std::string& path) const override
    {
        return is_away(path) ? std::nullopt : ForwardingSystem::device_number(path);
    }
    std::optional<FileFacts> file_facts(const std::string& path) const override
    {
        return is_away(path) ? std::nullopt : ForwardingSystem::file_facts(path);
    }
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override
    {
        if (is_away(path)) return {SysResult::Kind::refused, ENOENT, "", 0, ""};
        return ForwardingSystem::read_within(path, bytes, timeout);
    }

private:
    static bool is_away(const std::string& path)
    {
        return path == paths::pve || path.starts_with(paths::join(paths::pve, ""));
    }
};

std::set<std::string> former_hookscripts(const Survey& survey, const Manifest& manifest)
{
    std::set<std::string> volumes;
    for (const auto& guest : manifest.attachments)
        if (!guest.old_volume.empty()) volumes.insert(guest.old_volume);
    for (const auto& [path, text] : survey.files)
        if (path.starts_with(paths::join(paths::chained_hooks, "")))
            if (const auto hook = parse_chained_hook(text)) volumes.insert(hook->volume);
    return volumes;
}

// As Proxmox asks (PVE::GuestHelpers::check_hookscript, of 'qm set' and 'pct set' too).
bool is_there(const SysReader& reader, const std::vector<Storage>& storages, const std::string& volume)
{
    const auto path = snippet_path(storages, volume);
    const auto facts = path ? reader.file_facts(*path) : std::nullopt;
    return facts && facts->regular;
}

std::set<std::string> snippets_of_ours(const Survey& survey, const Manifest& manifest)
{
    std::set<std::string> snippets;
    for (const auto& entry : manifest.entries)
        if (entry.leads_to_hook()) snippets.insert(entry.path);
    for (const auto& [path, target] : survey.links)
        if (target == paths::hook_program) snippets.insert(path);
    return snippets;
}

} // namespace

Survey survey_for_removal(const SysReader& reader, const Manifest& manifest)
{
    auto survey = survey_host(reader, {});
    for (const auto& volume : former_hookscripts(survey, manifest))
        if (!is_there(reader, survey.storages, volume)) survey.gone_hookscripts.insert(volume);
    return survey;
}

std::optional<Survey> survey_what_can_be_seen(System& system, const Manifest& manifest)
{
    if (!is_proxmox_host(system) && daemon_sockets(system).empty()) return std::nullopt;
    try {
        return survey_for_removal(system, manifest);
    } catch (const Error& error) {
        system.say(Severity::warning, error.what());
    }
    const WithoutProxmox rest(system);
    return survey_for_removal(rest, manifest);
}

std::vector<NeededSnippet> needed_snippets(const Survey& survey, const Manifest& manifest,
                                           const std::optional<std::vector<HookReference>>& references)
{
    std::vector<NeededSnippet> needed;
    for (const auto& path : snippets_of_ours(survey, manifest)) {
        NeededSnippet snippet{path, {}};
        if (references)
            std::copy_if(references->begin(), references->end(), std::back_inserter(snippet.references),
                         [&](const auto& one) { return snippet_path(survey.storages, one.volume) == path; });
        if (!references || !snippet.references.empty()) needed.push_back(std::move(snippet));
    }
    return needed;
}

std::string name_guests(const std::vector<HookReference>& references, const std::string& own_node)
{
    std::vector<std::string> names;
    for (const auto& guest : references) {
        auto name = guest.id.name() + (guest.node == own_node ? "" : " on " + quote(guest.node));
        if (!contains(names, name)) names.push_back(std::move(name));
    }
    return join(names, ", ");
}

} // namespace pvegpu
