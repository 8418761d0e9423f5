#include "changes/removal.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

std::set<std::string> snippets_of_ours(const Survey& survey, const Manifest& manifest)
{
    std::set<std::string> snippets;
    for (const auto& entry : manifest.entries)
        if (entry.leads_to_hook()) snippets.insert(entry.path);
    for (const auto& [path, target] : survey.links)
        if (target == paths::hook_program) snippets.insert(path);
    return snippets;
}

std::string name_guest(const HookReference& guest, const std::string& own_node)
{
    const auto name = (guest.container ? "container " : "VM ") + std::to_string(guest.vmid);
    return guest.node == own_node ? name : name + " on " + quote(guest.node);
}

} // namespace

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
        auto name = name_guest(guest, own_node);
        if (!contains(names, name)) names.push_back(std::move(name));
    }
    return join(names, ", ");
}

} // namespace pvegpu
