// What Proxmox's files say of this node and its guests, and who of the cluster's would run a snippet.
#pragma once

#include "machine/system.hpp"
#include "proxmox/guest.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct ClusterFacts {
    std::string node; // this one's name
    bool clustered = false;
    bool quorate = true;
};
ClusterFacts read_cluster(const SysReader& reader);

struct GuestEntry {
    Guest id;
    std::string node = {}; // empty where only this one's are known
};
// Throws Error on a Proxmox host whose cluster file system is not mounted: there every guest seems to be
// gone, and nothing that depends on guests can be decided.
void require_cluster_file_system(const SysReader& reader);

std::vector<GuestEntry> list_guests(const SysReader& reader, const std::string& node); // this node's, sorted

bool vm_runs(const SysReader& reader, unsigned vmid); // by the pid file that Proxmox keeps of its QEMU

// Every guest of the cluster. Nothing if it cannot be known: a tree of files need not have that list.
std::optional<std::vector<GuestEntry>> list_cluster_guests(const SysReader& reader);

// A guest that would run a snippet: those of other nodes too, which may come to this one.
struct HookReference {
    Guest id;
    std::string node;
    std::string volume; // "local:snippets/pve-gpu-hook"
    bool saved = false; // of a snapshot or a pending change: setting the hookscript leaves it as it is

    bool operator==(const HookReference&) const = default;
};

struct HookscriptUse {
    std::string volume;
    bool saved = false; // as above

    bool operator==(const HookscriptUse&) const = default;
};

// Those of a guest's configuration, each once. A snapshot's counts: a rollback brings it back
// (PVE::AbstractConfig::__snapshot_apply_config).
std::vector<HookscriptUse> hookscripts_of(std::string_view config);

// Nothing if it cannot be known: the cluster file system is not mounted, or does not answer.
std::optional<std::vector<HookReference>> read_hook_references(const SysReader& reader);

} // namespace pvegpu
