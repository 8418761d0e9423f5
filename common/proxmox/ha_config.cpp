#include "proxmox/ha_config.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <map>

namespace pvegpu {
namespace {

struct Section {
    std::string type, id;
    std::map<std::string, std::string, std::less<>> settings;

    std::string_view get(std::string_view key) const
    {
        const auto found = settings.find(key);
        return found == settings.end() ? std::string_view{} : found->second;
    }
    bool is_set(std::string_view key) const { return !get(key).empty() && get(key) != "0"; }
};

// "group: gpu", then indented "key value" lines; a key alone is a boolean that is true.
std::vector<Section> parse_sections(std::string_view text)
{
    std::vector<Section> sections;
    for (LineReader lines(text); lines.next();) {
        const auto line = trim_right(lines.line());
        if (line.empty() || trim_left(line).starts_with('#')) continue;
        if (!is_space(line.front())) {
            const auto head = split_once(line, ':');
            auto& section = sections.emplace_back();
            if (!head) continue;
            section.type = trim(head->first);
            section.id = trim(head->second);
        } else if (!sections.empty()) {
            const auto setting = trim(line);
            const auto key = setting.substr(0, count_front(setting, [](char c) { return !is_space(c); }));
            const auto value = trim(setting.substr(key.size()));
            sections.back().settings.emplace(key, value.empty() ? "1" : value);
        }
    }
    return sections;
}

// "pve1:2,pve2": a node may have a priority.
std::vector<std::string> nodes_of(std::string_view list)
{
    std::vector<std::string> nodes;
    for (const auto part : split(list, ','))
        if (const auto name = trim(part.substr(0, part.find(':'))); !name.empty()) nodes.emplace_back(name);
    return nodes;
}

bool names(std::string_view list, std::string_view guest)
{
    const auto parts = split(list, ',');
    return std::ranges::any_of(parts, [&](auto part) { return trim(part) == guest; });
}

// A group that is not restricted, and a rule that is not strict, are a wish only.
std::vector<std::string> only_nodes(const HaFiles& files, std::string_view guest, std::string_view group)
{
    for (const auto& section : parse_sections(files.rules))
        if (section.type == "node-affinity" && section.is_set("strict") && !section.is_set("disable") &&
            names(section.get("resources"), guest))
            return nodes_of(section.get("nodes"));
    for (const auto& section : parse_sections(files.groups))
        if (section.type == "group" && section.id == group && section.is_set("restricted"))
            return nodes_of(section.get("nodes"));
    return {};
}

} // namespace

std::optional<HaPlacement> ha_placement(const HaFiles& files, std::string_view guest)
{
    for (const auto& section : parse_sections(files.resources))
        if (section.type + ":" + section.id == guest && section.get("state") != "ignored")
            return HaPlacement{only_nodes(files, guest, section.get("group"))};
    return std::nullopt;
}

} // namespace pvegpu
