#include "proxmox/ha_config.hpp"

#include "base/json.hpp"
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

std::string is_not(const std::string& what, const std::string& value, const std::string& wanted)
{
    return what + " is " + (value.empty() ? "not known" : quote(value)) + ", not '" + wanted + "'";
}

} // namespace

std::optional<HaPlacement> ha_placement(const HaFiles& files, std::string_view guest)
{
    for (const auto& section : parse_sections(files.resources))
        if (section.type + ":" + section.id == guest && section.get("state") != "ignored")
            return HaPlacement{only_nodes(files, guest, section.get("group"))};
    return std::nullopt;
}

std::optional<std::string> ha_objection(const HaStatus& status, std::string_view guest, std::string_view node)
{
    for (const auto& section : parse_sections(status.resources)) {
        if (section.type + ":" + section.id != guest) continue;
        const auto state = section.get("state");
        if (state == "ignored") return std::nullopt;
        if (!state.empty() && state != "started" && state != "enabled") // the old word for it
            return is_not("its requested state", std::string(state), "started");
        const auto manager = Json::parse(status.manager, nullptr, false);
        if (const auto is = text_in(member(manager, "node_status"), node); is != "online")
            return is_not("the state of this node", is, "online");
        if (const auto is = text_in(member(member(manager, "service_status"), guest), "state");
            is != "started")
            return is_not("its state", is, "started");
        const auto mode = text_in(Json::parse(status.node, nullptr, false), "mode");
        if (mode != "active") return is_not("the mode of this node", mode, "active");
        return std::nullopt;
    }
    return std::nullopt;
}

} // namespace pvegpu
