#include "host/hook_references.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "host/pve_files.hpp"

namespace pvegpu {
namespace {

void add_references(const SysReader& reader, const GuestEntry& guest, std::vector<HookReference>& to)
{
    if (!is_node_name(guest.node)) return; // it becomes part of a path
    const auto text = read_pve_file(reader, guest.id.config_path(guest.node));
    for (auto& use : hookscripts_of(text.value_or(""))) // none: it went away since the list was made
        to.push_back({guest.id, guest.node, std::move(use.volume), use.saved});
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
