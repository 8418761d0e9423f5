// A card that is given to a VM while containers have its device nodes.
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"
#include "pci/topology.hpp"
#include "proxmox/gpu_nodes.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// The device nodes of a GPU below /dev, of the driver that has it now: "/dev/dri/card0", "/dev/nvidia0". On
// vfio-pci those that only it and others on vfio-pci could have; none of a kind that another GPU could have.
struct CardNodes {
    PciAddress function;
    std::vector<std::string> paths;
};
CardNodes nodes_of_function(const SysReader& reader, const Function& function);

// The first of a container's nodes that is one of the card's, or a directory in which one lies; nullptr if
// none is.
const WantedNode* node_of_card(const std::vector<WantedNode>& wanted, const CardNodes& card);

// Of each running container whose configuration names a node of one of the functions, which leave the host
// for a VM: it loses the card. A process in it that has the node open is a holder and stops the start anyway.
std::vector<Advice> container_warnings(const SysReader& reader, const std::vector<Function>& leaving);

} // namespace pvegpu
