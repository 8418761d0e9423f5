#include "proxmox/storage_config.hpp"

#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/paths.hpp"
#include "proxmox/config_lines.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

constexpr std::array<std::string_view, 4> network_types{"nfs", "cifs", "cephfs", "glusterfs"};

bool is_plain_path(std::string_view path)
{
    const auto parts = split(path, '/');
    return path.size() > 1 && path.starts_with('/') &&
           std::ranges::none_of(parts, [](auto part) { return part == ".." || part == "."; });
}

bool is_plain_name(std::string_view name)
{
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
           consists_of(name, [](char c) { return c > ' ' && c < '\x7f'; });
}

// "snippets=hooks,iso=images", relative to the storage's path. Without one the directory has the kind's name.
std::string directory_of(std::string_view kind, std::string_view content_dirs)
{
    for (const auto part : split(content_dirs, ','))
        if (const auto pair = split_once(part, '='); pair && trim(pair->first) == kind)
            return std::string(trim(pair->second));
    return std::string(kind);
}

Storage storage_from(const ConfigSection& section)
{
    const bool network = contains(network_types, section.type);
    Storage storage{section.id,
                    section.type,
                    "",
                    "",
                    !section.is_set("disable"),
                    network || section.is_set("shared"),
                    parse_list(section.get("nodes"))};
    if (storage.type == "zfspool") {
        const auto place = section.get("mountpoint");
        storage.trees = place.empty() ? "/" + std::string(section.get("pool")) : std::string(place);
        if (!is_plain_path(storage.trees)) storage.trees.clear();
    }
    const bool mounted = network && section.get("path").empty();
    const auto path = mounted ? "/mnt/pve/" + storage.id : std::string(section.get("path"));
    const auto snippets = path + "/" + directory_of("snippets", section.get("content-dirs"));
    const auto images = path + "/" + directory_of("images", section.get("content-dirs"));
    const bool on_this_host = storage.type == "dir" || storage.type == "btrfs";
    if ((network || on_this_host) && is_plain_path(path) && is_plain_path(snippets))
        storage.snippets = snippets;
    if (on_this_host && is_plain_path(path) && is_plain_path(images)) storage.trees = images;
    return storage;
}

} // namespace

std::vector<Storage> parse_storages(std::string_view text)
{
    if (is_blank(text)) text = "dir: local\n\tpath /var/lib/vz\n";
    std::vector<Storage> storages;
    for (const auto& section : parse_sections(text))
        if (is_plain_name(section.id)) storages.push_back(storage_from(section));
    return storages;
}

std::optional<std::string> snippet_path(const std::vector<Storage>& storages, std::string_view volume)
{
    constexpr std::string_view kind = "snippets/";
    const auto parts = split_once(volume, ':');
    if (!parts || !parts->second.starts_with(kind)) return std::nullopt;
    const auto name = parts->second.substr(kind.size());
    const auto* storage = storage_of(storages, volume);
    if (storage == nullptr || storage->snippets.empty() || !is_plain_name(name)) return std::nullopt;
    return paths::join(storage->snippets, name);
}

std::optional<std::string> tree_path(const std::vector<Storage>& storages, std::string_view volume)
{
    const auto parts = split_once(volume, ':');
    const auto* storage = storage_of(storages, volume);
    if (!parts || storage == nullptr || storage->trees.empty()) return std::nullopt;
    const auto name = parts->second;
    if (storage->type == "zfspool")
        return name.starts_with("subvol-") && is_plain_name(name)
                   ? std::optional(paths::join(storage->trees, name))
                   : std::nullopt;
    const auto owned = split_once(name, '/');
    if (!owned || !parse_vmid(owned->first) || !owned->second.ends_with(".subvol") ||
        !is_plain_name(owned->second))
        return std::nullopt;
    return paths::join(paths::join(storage->trees, owned->first), owned->second);
}

const Storage* storage_of(const std::vector<Storage>& storages, std::string_view volume)
{
    const auto id = volume.substr(0, std::min(volume.find(':'), volume.size()));
    return find_by(storages, id, &Storage::id);
}

const Storage* choose_storage(const std::vector<Storage>& storages, std::string_view node)
{
    const Storage* best = nullptr;
    const auto rank = [](const Storage& storage) {
        return (storage.shared ? 2 : 0) + (storage.id == "local" ? 0 : 1);
    };
    for (const auto& storage : storages) {
        const bool usable = storage.enabled && !storage.snippets.empty() && storage.on_node(node);
        if (usable && (best == nullptr || rank(storage) < rank(*best))) best = &storage;
    }
    return best;
}

} // namespace pvegpu
