// /etc/pve/mapping/pci.cfg, as PVE::Mapping::PCI (pve-guest-common) and SectionConfig (pve-common) read it.
#pragma once

#include "proxmox/guest_config.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// One `map` line: one alternative, which may consist of several functions.
struct MappedDevice {
    std::string node;
    std::vector<HostSelector> paths;         // each with its domain; without a function: all of the slot
    std::string id;                          // "10de:2204", as written
    std::optional<std::string> subsystem_id; // as written
    std::optional<unsigned> iommu_group;
    bool mdev = false;     // the mapping's
    unsigned line = 0;     // of the file, from 1
    std::string text = {}; // as it is written, behind 'map'

    // Why this alternative can be no device of any host, though its line passes Proxmox's format; it then
    // refuses to start the VM, whichever alternative is free.
    std::optional<std::string> start_error;
};

struct PciMapping {
    std::string name;
    bool mdev = false;
    std::vector<MappedDevice> devices; // every node's, in the order of the file
};

struct PciMappings {
    std::vector<PciMapping> mappings;
    std::vector<ConfigWarning> warnings;

    const PciMapping* find(std::string_view name) const; // nullptr if there is none
};

PciMappings parse_pci_mappings(std::string_view text);

// The alternatives of this node, in the order in which Proxmox tries them.
std::vector<MappedDevice> devices_on_node(const PciMapping& mapping, std::string_view node);

// What Proxmox compares an alternative with before it accepts it (assert_valid): the facts of one function.
struct MappedFacts {
    std::string id;                          // "10de:2204", lower case
    std::optional<std::string> subsystem_id; // nothing only where sysfs has no such files; "0000:0000" counts
    std::optional<unsigned> iommu_group;
    std::optional<bool> mdev; // whether it offers mediated devices when Proxmox looks; nothing: not compared
};

// Nothing if the facts of the path with that index are as the mapping says, else Proxmox's reason in a
// sentence. Proxmox asks for every path of every alternative of the node before it chooses one, and takes
// function 0 of a path without a function. The IOMMU group is compared for the first path only; the ids for
// each, so a GPU and its audio function never pass as two paths of one alternative.
std::optional<std::string> mapping_mismatch(const MappedDevice& device, const MappedFacts& facts,
                                            std::size_t path_index = 0);

} // namespace pvegpu
