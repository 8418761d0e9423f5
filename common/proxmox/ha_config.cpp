#include "proxmox/ha_config.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "proxmox/config_lines.hpp"

namespace pvegpu {
namespace {

// "pve1:2,pve2": a node may have a priority.
std::vector<std::string> nodes_of(std::string_view list)
{
    std::vector<std::string> nodes;
    for (const auto part : split(list, ','))
        if (const auto name = trim(part.substr(0, part.find(':'))); !name.empty()) nodes.emplace_back(name);
    return nodes;
}

// A group that is not restricted, and a rule that is not strict, are a wish only.
std::vector<std::string> only_nodes(const HaFiles& files, std::string_view guest, std::string_view group)
{
    for (const auto& section : parse_sections(files.rules))
        if (section.type == "node-affinity" && section.is_set("strict") && !section.is_set("disable") &&
            contains(parse_list(section.get("resources")), guest))
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
