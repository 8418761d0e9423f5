#include "host/pve_files.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

Json read_json(const SysReader& reader, std::string_view path)
{
    const auto text = read_pve_file(reader, path);
    return text ? Json::parse(*text, nullptr, false) : Json();
}

std::optional<GuestEntry> guest_entry(std::string_view vmid, GuestKind kind)
{
    const auto number = parse_decimal(vmid);
    if (!number || *number < 100) return std::nullopt;
    return GuestEntry{{*number, kind}};
}

std::vector<GuestEntry> entries_of(const Json& ids)
{
    std::vector<GuestEntry> guests;
    for (const auto& [vmid, facts] : ids.items()) {
        if (!facts.is_object()) continue;
        auto guest =
            guest_entry(vmid, facts.value("type", "") == "lxc" ? GuestKind::container : GuestKind::vm);
        if (!guest) continue;
        guest->node = facts.value("node", "");
        guests.push_back(*guest);
    }
    return guests;
}

void list_configs(const SysReader& reader, std::string_view directory, GuestKind kind,
                  std::vector<GuestEntry>& to)
{
    constexpr std::string_view ending = ".conf";
    for (const auto& name : reader.list(std::string(directory))) {
        if (!name.ends_with(ending)) continue;
        const auto guest = guest_entry(std::string_view(name).substr(0, name.size() - ending.size()), kind);
        if (guest) to.push_back(*guest);
    }
}

// A tree of files below --root has no .vmlist, which pmxcfs makes up; and such a tree does not hang.
std::vector<GuestEntry> entries_in_directories(const SysReader& reader)
{
    std::vector<GuestEntry> guests;
    list_configs(reader, paths::pve_vm_configs, GuestKind::vm, guests);
    list_configs(reader, paths::pve_ct_configs, GuestKind::container, guests);
    return guests;
}

void add_references(const SysReader& reader, const GuestEntry& guest, std::vector<HookReference>& to)
{
    if (!is_node_name(guest.node)) return; // it becomes part of a path
    const auto text = read_pve_file(reader, guest.id.config_path(guest.node));
    for (auto& use : hookscripts_of(text.value_or(""))) // none: it went away since the list was made
        to.push_back({guest.id, guest.node, std::move(use.volume), use.saved});
}

} // namespace

ClusterFacts read_cluster(const SysReader& reader)
{
    ClusterFacts facts;
    facts.node = node_name(reader);
    const auto members = read_json(reader, paths::pve_members);
    if (!members.is_object()) return facts;
    if (const auto node = members.value("nodename", ""); !node.empty()) facts.node = node;
    const auto cluster = members.find("cluster");
    if (cluster == members.end() || !cluster->is_object()) return facts;
    facts.clustered = cluster->value("nodes", 1) > 1;
    facts.quorate = cluster->value("quorate", 1) != 0;
    return facts;
}

std::optional<std::vector<GuestEntry>> list_cluster_guests(const SysReader& reader)
{
    const auto list = read_json(reader, paths::pve_vm_list);
    const bool usable = list.is_object() && list.contains("ids") && list["ids"].is_object();
    return usable ? std::optional(entries_of(list["ids"])) : std::nullopt;
}

// pmxcfs makes the list of guests up, so it is there exactly when that is mounted.
void require_cluster_file_system(const SysReader& reader)
{
    if (!is_proxmox_host(reader)) return;
    if (read_pve_file(reader, paths::pve_vm_list)) return;
    throw not_mounted();
}

std::vector<GuestEntry> list_guests(const SysReader& reader, const std::string& node)
{
    auto everywhere = list_cluster_guests(reader);
    if (everywhere) std::erase_if(*everywhere, [&](const auto& guest) { return guest.node != node; });
    auto guests = everywhere ? std::move(*everywhere) : entries_in_directories(reader);
    std::ranges::sort(guests, {}, [](const GuestEntry& guest) { return guest.id.vmid; });
    return guests;
}

bool vm_runs(const SysReader& reader, unsigned vmid)
{
    const auto pid = parse_decimal(trim(reader.read(paths::pve_pid_file(vmid)).value_or("")));
    return pid && reader.exists(paths::process(static_cast<pid_t>(*pid)));
}

std::vector<HookscriptUse> hookscripts_of(std::string_view config)
{
    constexpr std::string_view key = "hookscript:";
    std::vector<HookscriptUse> uses;
    bool saved = false;
    for (LineReader lines(config); lines.next();) {
        saved = saved || lines.line().starts_with('['); // what follows the live section never belongs to it
        if (!lines.line().starts_with(key)) continue;
        HookscriptUse use{std::string(trim(lines.line().substr(key.size()))), saved};
        if (!contains(uses, use)) uses.push_back(std::move(use));
    }
    return uses;
}

std::optional<std::vector<HookReference>> read_hook_references(const SysReader& reader)
{
    try {
        const auto guests = list_cluster_guests(reader);
        if (!guests) return std::nullopt;
        std::vector<HookReference> references;
        for (const auto& guest : *guests) add_references(reader, guest, references);
        return references;
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace pvegpu
