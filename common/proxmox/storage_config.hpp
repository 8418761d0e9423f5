// /etc/pve/storage.cfg: where snippets lie. Grammar: PVE::SectionConfig; PVE::Storage::Plugin for the rest.
#pragma once

#include "base/lists.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct Storage {
    std::string id;
    std::string type;
    std::string snippets; // the directory; empty: a storage without files, or of a kind that we do not know
    std::string trees;    // where the directories lie that are roots of containers; empty: it has none here
    bool enabled = true;
    bool shared = false;
    std::vector<std::string> nodes; // empty: all

    bool on_node(std::string_view node) const { return nodes.empty() || contains(nodes, node); }
};

// An empty text stands for a missing file: Proxmox then has 'local' at /var/lib/vz.
std::vector<Storage> parse_storages(std::string_view text);

// Where a hookscript's volume ("local:snippets/old.sh") lies; nothing if it is no such volume, or its storage
// is unknown.
std::optional<std::string> snippet_path(const std::vector<Storage>& storages, std::string_view volume);

// Where the root of a container lies that is a directory on the host whether the container runs or not: a
// file system of ZFS ("local-zfs:subvol-901-disk-0"), or a directory or subvolume of btrfs
// ("local:901/subvol-901-disk-0.subvol"; filesystem_path in PVE::Storage::ZFSPoolPlugin, PVE::Storage::Plugin
// and PVE::Storage::BTRFSPlugin); nothing for any other volume, which would have to be mounted.
std::optional<std::string> tree_path(const std::vector<Storage>& storages, std::string_view volume);

// The storage that a volume names; nullptr if it is unknown.
const Storage* storage_of(const std::vector<Storage>& storages, std::string_view volume);

// The storage that our snippet goes to: on this node, enabled, with files of its own; 'local' if it is one,
// one that is not shared before one that is. nullptr if there is none.
const Storage* choose_storage(const std::vector<Storage>& storages, std::string_view node);

} // namespace pvegpu
