// Which guests of the cluster would start on this node, and why not.
#pragma once

#include "base/advice.hpp"
#include "base/json.hpp"
#include "check/screen.hpp"
#include "machine/system.hpp"
#include "proxmox/guest.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct Prospect {
    Guest id;
    std::string name;               // that the administrator gave a VM; empty: none, or a container
    std::string node;               // where it is now
    std::vector<Advice> in_the_way; // empty: it would start on this node
};

struct Prospects {
    std::string node; // this one
    std::vector<Prospect> guests;
};

// Of the guests with these numbers, or of all, that are passed a device or given device nodes of a GPU;
// templates left out, in the order of their numbers. Each guest of another node is looked at as if it were
// here; what a check finds of the past does not count, and neither do its disks. Looks only. Throws Error
// where it is no Proxmox host, Proxmox's files do not answer, or the cluster has no such guest.
Prospects read_prospects(const SysReader& machine, const std::vector<unsigned>& vmids);

std::string print_prospects(const Prospects& prospects, const Screen& screen = {});
Json prospects_json(const Prospects& prospects); // "pve-gpu-hook/prospects/1"

} // namespace pvegpu
