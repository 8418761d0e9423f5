#include "proxmox/storage_config.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

bool is_one_of(std::string_view text, const auto& names)
{
    return contains(names, text);
}

bool has_files(std::string_view type)
{
    constexpr std::array<std::string_view, 6> types{"dir", "btrfs", "nfs", "cifs", "cephfs", "glusterfs"};
    return is_one_of(type, types);
}

bool is_network(std::string_view type)
{
    constexpr std::array<std::string_view, 4> types{"nfs", "cifs", "cephfs", "glusterfs"};
    return is_one_of(type, types);
}

struct StorageSection {
    Storage storage;
    std::string path;
    std::string snippets_below = "snippets";
};

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

// "snippets=hooks,iso=images", relative to the storage's path.
std::string snippets_directory(std::string_view content_dirs)
{
    for (const auto part : split(content_dirs, ','))
        if (const auto pair = split_once(part, '='); pair && trim(pair->first) == "snippets")
            return std::string(trim(pair->second));
    return "snippets";
}

std::vector<std::string> words(std::string_view text)
{
    std::vector<std::string> result;
    for (const auto part : split(text, ','))
        if (!is_blank(part)) result.emplace_back(trim(part));
    return result;
}

void read_setting(std::string_view line, StorageSection& section)
{
    const auto key = line.substr(0, count_front(line, [](char c) { return !is_space(c); }));
    const auto value = trim(line.substr(key.size()));
    if (key == "path")
        section.path = value;
    else if (key == "content-dirs")
        section.snippets_below = snippets_directory(value);
    else if (key == "disable")
        section.storage.enabled = value == "0";
    else if (key == "shared")
        section.storage.shared = value != "0";
    else if (key == "nodes")
        section.storage.nodes = words(value);
}

void finish(const StorageSection& section, std::vector<Storage>& storages)
{
    if (section.storage.id.empty()) return;
    auto storage = section.storage;
    const auto path =
        section.path.empty() && is_network(storage.type) ? "/mnt/pve/" + storage.id : section.path;
    const auto directory = path + "/" + section.snippets_below;
    if (has_files(storage.type) && is_plain_path(path) && is_plain_path(directory))
        storage.snippets = directory;
    if (is_network(storage.type)) storage.shared = true;
    storages.push_back(storage);
}

StorageSection begin_section(std::string_view line)
{
    StorageSection section;
    const auto head = split_once(line, ':');
    if (!head || !is_plain_name(trim(head->second))) return section;
    section.storage.type = trim(head->first);
    section.storage.id = trim(head->second);
    return section;
}

} // namespace

bool Storage::on_node(std::string_view node) const
{
    return nodes.empty() || is_one_of(node, nodes);
}

std::vector<Storage> parse_storages(std::string_view text)
{
    if (is_blank(text)) text = "dir: local\n\tpath /var/lib/vz\n";
    std::vector<Storage> storages;
    StorageSection section;
    for (LineReader lines(text); lines.next();) {
        const auto line = trim_right(lines.line());
        if (line.empty() || line.front() == '#') continue;
        if (is_space(line.front())) {
            read_setting(trim(line), section);
            continue;
        }
        finish(section, storages);
        section = begin_section(line);
    }
    finish(section, storages);
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

const Storage* storage_of(const std::vector<Storage>& storages, std::string_view volume)
{
    const auto id = volume.substr(0, std::min(volume.find(':'), volume.size()));
    return find_where(storages, [&](const Storage& one) { return one.id == id; });
}

const Storage* choose_storage(const std::vector<Storage>& storages, std::string_view node)
{
    const Storage* best = nullptr;
    const auto better = [](const Storage& one, const Storage& other) {
        const auto rank = [](const Storage& storage) {
            return (storage.shared ? 2 : 0) + (storage.id == "local" ? 0 : 1);
        };
        return rank(one) < rank(other);
    };
    for (const auto& storage : storages) {
        const bool usable = storage.enabled && !storage.snippets.empty() && storage.on_node(node);
        if (usable && (best == nullptr || better(storage, *best))) best = &storage;
    }
    return best;
}

} // namespace pvegpu
