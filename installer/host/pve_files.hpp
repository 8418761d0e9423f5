// What Proxmox's files say of this node and its guests.
#pragma once

#include "proxmox/guest_files.hpp"

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

} // namespace pvegpu
