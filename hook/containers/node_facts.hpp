// A host's GPUs and device nodes as a container sees them from below: what there is, and who has it.
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "usage/holders.hpp"
#include "usage/kernel_devices.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pvegpu {

struct NodeFacts {
    WantedNode wanted;
    std::optional<DeviceNumber> number; // that the path has now
    bool present = false;               // and a driver stands behind it
    std::optional<FileFacts> rights;    // whose it is on the host; of a directory those of the first
                                        // node that a program in the container opens, if there is one
};

struct HostGpu {
    PciAddress address;
    std::string id;       // "10de:2204"
    std::string driver;   // empty: none bound
    std::string modalias; // "pci:v000010DEd00002204...", what udev loads its driver by
    bool on_vfio = false;
    std::optional<unsigned> nvidia;       // the N of its /dev/nvidiaN
    std::vector<unsigned> cards, renders; // of /dev/dri
    std::vector<Holder> holders;          // VMs, of a GPU that no driver of the host has

    std::vector<std::string> nodes() const; // "/dev/dri/renderD128", "/dev/dri/card0", "/dev/nvidia0"
    bool is_nvidia() const { return id.starts_with("10de:"); }
    bool is_amd() const { return id.starts_with("1002:"); }
};

struct NodeHost {
    std::vector<NodeFacts> nodes;
    std::vector<HostGpu> gpus; // in the order of their addresses
    KernelDevices majors;
    std::set<std::string> modules;               // that are loaded, of those that could be loaded for a node
    bool nvidia_modprobe = false;                // is installed
    std::optional<Advice> no_nvidia_module = {}; // why none can be loaded; see nvidia_module.hpp
    // The files of /dev/nvidia-caps/nvidia-capN by N; nothing while NVIDIA's driver is not there to say it,
    // or where no such node is wanted.
    std::optional<std::map<unsigned, std::string>> capabilities = {};
};

// The node of a capability whose GPU instance or compute instance the driver has now: those that a program
// needs to use it. Who may divide the GPU (mig/config) and watch all of it (mig/monitor) is none of them.
bool is_mig_access(const std::string& capability_file);

// Only looks. `vmid` is the container: its own claims do not count.
NodeHost read_node_host(const SysReader& reader, const std::vector<WantedNode>& wanted,
                        std::optional<unsigned> own_vmid);

// The nodes as they are now, on a host with these GPUs and capabilities.
std::vector<NodeFacts> read_nodes(const SysReader& reader, const std::vector<WantedNode>& wanted,
                                  const NodeHost& host);

std::vector<Function> list_gpus(const SysReader& reader); // in the order of their addresses
std::vector<HostGpu> read_host_gpus(const SysReader& reader, std::optional<unsigned> own_vmid);

// Whether the path is a node with the number that its driver has now, or a directory with something in it.
bool node_is_there(const SysReader& reader, const GpuNode& node);

// The state of GPUs and nodes, for the log: what a timeout leaves behind for whoever looks later. One line
// each: the nodes with their numbers, the drivers' major numbers, the modules, the GPUs with their drivers,
// and whether NVIDIA's persistence daemon runs.
std::vector<std::string> state_of_nodes(const SysReader& reader);

// "550.90.07" of the NVIDIA module that is loaded; empty if none is.
std::string nvidia_module_version(const SysReader& reader);

} // namespace pvegpu
