// What the installer knows of a container before it gives it a GPU.
#pragma once

#include "containers/inside.hpp"
#include "containers/node_facts.hpp"
#include "containers/nvidia_nodes.hpp"
#include "host/survey.hpp"
#include "proxmox/lxc_config.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace pvegpu {

struct ContainerSurvey {
    unsigned vmid = 0;
    std::string text; // of its configuration file
    LxcConfig config;
    std::vector<WantedNode> wanted; // at its next start
    bool running = false;
    Inside inside; // of one that runs
    std::vector<HostGpu> gpus;
    // That are there, of those that it wants and of those that a GPU has besides its own: "/dev/nvidia-uvm",
    // "/dev/kfd", "/dev/nvidia-caps/nvidia-cap3".
    std::set<std::string> host_nodes;
    std::map<PciAddress, std::vector<NvidiaCapability>> mig; // of divided GPUs
    KernelDevices majors;
    bool nvidia_modprobe = false;
};

// Looks only. Throws Error(not_found) for a container that is not on this node.
ContainerSurvey survey_container(const SysReader& reader, unsigned vmid);

} // namespace pvegpu
