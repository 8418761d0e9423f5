// What Proxmox's files say of this node and its guests.
#pragma once

#include "read_pve_file.hpp"

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
    unsigned vmid = 0;
    bool container = false;
};
std::vector<GuestEntry> list_guests(const SysReader& reader, const std::string& node); // this node's, sorted

bool vm_runs(const SysReader& reader, unsigned vmid); // by the pid file that Proxmox keeps of its QEMU

// The version of an installed package, of the text of /var/lib/dpkg/status; empty if it is not installed.
std::string package_version(std::string_view dpkg_status, std::string_view package);

} // namespace pvegpu
