// What the installer knows of a container before it gives it a GPU.
#pragma once

#include "containers/inside.hpp"
#include "containers/node_facts.hpp"
#include "containers/nvidia_nodes.hpp"
#include "host/node_owners.hpp"
#include "host/survey.hpp"
#include "proxmox/lxc_config.hpp"

#include <map>
#include <string>
#include <vector>

namespace pvegpu {

struct MountedDevice {
    unsigned line = 0; // of the configuration
    std::string path;  // on the host
    DeviceNumber number;
    FileFacts rights;
};

struct ContainerSurvey {
    unsigned vmid = 0;
    std::string text; // of its configuration file
    LxcConfig config;
    PveContainer package;
    std::vector<WantedNode> wanted; // at its next start
    bool running = false;
    Inside inside; // of one that runs
    NodeHost host; // the GPUs, and what its nodes hang on
    // That are there, of those that it wants or has, of those of /dev/dri and of those that a GPU has besides
    // its own: "/dev/nvidia-uvm", "/dev/kfd", "/dev/nvidia-caps/nvidia-cap3".
    std::map<std::string, DeviceNumber> host_nodes;          // of a directory 0:0
    std::map<PciAddress, std::vector<NvidiaCapability>> mig; // of divided GPUs
    // Devices of the host that its mounts give it, of a directory those that lie in it.
    std::vector<MountedDevice> mounted;
    NodeOwners owners;                        // that were noted at an earlier install
    std::vector<Advice> not_delegated;        // ids that its configuration maps and root may not map
    std::vector<std::string> missing_devices; // devN of other things than GPUs, that are not there
};

// Inside of one that runs; of one that does not its groups, where its root can be read.
Inside look_at_container(const SysReader& reader, unsigned vmid, const LxcConfig& config,
                         const std::vector<WantedNode>& wanted, bool running);

// Looks only. Throws Error(not_found) for a container that is not on this node.
ContainerSurvey survey_container(const SysReader& reader, unsigned vmid);

} // namespace pvegpu
