#include "removal_survey.hpp"

#include "chained_hook.hpp"
#include "paths.hpp"

namespace pvegpu {
namespace {

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

} // namespace

Survey survey_for_removal(const SysReader& reader, const Manifest& manifest)
{
    auto survey = survey_host(reader, {});
    for (const auto& volume : former_hookscripts(survey, manifest))
        if (!is_there(reader, survey.storages, volume)) survey.gone_hookscripts.insert(volume);
    return survey;
}

} // namespace pvegpu
