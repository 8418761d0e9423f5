// Whose device nodes a container was given, by the GPU's address: the numbers in their names follow the order
// in which drivers are loaded, and can be exchanged by a boot (drm_minor_alloc in the kernel's drm_drv.c).
#pragma once

#include "base/pci_address.hpp"
#include "containers/node_facts.hpp"

#include <map>
#include <string>
#include <vector>

namespace pvegpu {

using NodeOwners = std::map<std::string, PciAddress>; // by path

// By VMID, of what the installer noted when it gave them. Empty where there are no notes.
std::map<unsigned, NodeOwners> read_node_owners(const SysReader& reader);

// Of these nodes, those that are a GPU's now.
NodeOwners owners_of(const std::vector<std::string>& paths, const std::vector<HostGpu>& gpus);

// A devN node that is another GPU's now, while the one that was meant is not given to the container any more.
struct MovedNode {
    WantedNode wanted;
    std::string fact;
    std::string instead; // the path that the GPU has now; empty if it has none
    std::string remedy;  // the name that stays
};
std::vector<MovedNode> moved_nodes(const NodeOwners& owners, const std::vector<WantedNode>& wanted,
                                   const std::vector<HostGpu>& gpus);

} // namespace pvegpu
