#include "host/hook_references.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

std::optional<HookReference> guest_of(const std::string& vmid, const Json& facts)
{
    const auto number = parse_decimal(vmid);
    if (!number || !facts.is_object()) return std::nullopt;
    HookReference guest{*number, facts.value("type", "") == "lxc", facts.value("node", ""), "", false};
    return is_node_name(guest.node) ? std::optional(guest) : std::nullopt;
}

std::string config_path(const HookReference& guest)
{
    return guest.container ? paths::ct_config(guest.vmid, guest.node)
                           : paths::vm_config(guest.vmid, guest.node);
}

void add_references(const SysReader& reader, HookReference guest, std::vector<HookReference>& to)
{
    const auto text = read_pve_file(reader, config_path(guest));
    for (auto& use : hookscripts_of(text.value_or(""))) { // none: it went away since the list was made
        guest.volume = std::move(use.volume);
        guest.saved = use.saved;
        to.push_back(guest);
    }
}

} // namespace

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
        // pmxcfs makes this file up, so it is there exactly when that is mounted.
        const auto text = read_pve_file(reader, paths::pve_vm_list);
        const auto list = text ? Json::parse(*text, nullptr, false) : Json();
        if (!list.is_object() || !list.contains("ids") || !list["ids"].is_object()) return std::nullopt;
        std::vector<HookReference> references;
        for (const auto& [vmid, facts] : list["ids"].items())
            if (const auto guest = guest_of(vmid, facts)) add_references(reader, *guest, references);
        return references;
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace pvegpu
