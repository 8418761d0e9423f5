// nvidia-modprobe, NVIDIA's own maker of device nodes.
#pragma once

#include "machine/system.hpp"
#include "proxmox/gpu_nodes.hpp"

#include <map>
#include <string>
#include <vector>

namespace pvegpu {

// Whether it makes nodes of that kind.
constexpr bool nvidia_modprobe_makes(NodeKind kind)
{
    return kind <= NodeKind::nvidia_cap;
}

// The program and its arguments that make this node, with the number and the rights that the driver wants
// (options -c, -u, -m, -f: option-table.h of github.com/NVIDIA/nvidia-modprobe). It replaces a node that has
// a number of an earlier boot. Empty where there is none: the node of a capability that the driver does not
// offer.
std::vector<std::string> nvidia_modprobe_arguments(const SysReader& reader, const GpuNode& node);

// The files below /proc/driver/nvidia/capabilities, by the N of the /dev/nvidia-caps/nvidia-capN that each
// stands for.
std::map<unsigned, std::string> capability_files(const SysReader& reader);

// One of those files with its N.
struct NvidiaCapability {
    unsigned number = 0;
    std::string file;
};

// The same where the file of a capability's node is known, or empty because the node is another one. Pure.
std::vector<std::string> nvidia_modprobe_arguments(const GpuNode& node, const std::string& capability_file);

// What a program needs to use the GPU's MIG instances: the "access" of each GPU instance and of each compute
// instance in it, in the driver's order (gpuN/mig/giN/access, gpuN/mig/giN/ciN/access; N of gpuN is that of
// /dev/nvidiaN). Empty for a GPU that is not divided. Who may divide it (mig/config) and watch all of it
// (mig/monitor) is not among them.
std::vector<NvidiaCapability> mig_capabilities(const SysReader& reader, unsigned gpu);

} // namespace pvegpu
