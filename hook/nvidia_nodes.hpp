// nvidia-modprobe, NVIDIA's own maker of device nodes.
#pragma once

#include "gpu_nodes.hpp"
#include "system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// The program and its arguments that make this node, with the number and the rights that the driver wants
// (options -c, -u, -m, -f: option-table.h of github.com/NVIDIA/nvidia-modprobe). It replaces a node that has
// a number of an earlier boot. Empty where there is none: the node of a capability that the driver does not
// offer.
std::vector<std::string> nvidia_modprobe_arguments(const SysReader& reader, const GpuNode& node);

} // namespace pvegpu
