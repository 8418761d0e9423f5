// What a device node that is missing can become: who could make it, and who has taken its GPU. Pure.
#pragma once

#include "containers/node_facts.hpp"

#include <vector>

namespace pvegpu {

enum class Prospect {
    can_come,
    taken_by_vms,    // each GPU that could have it
    perhaps_of_a_vm, // one has a GPU that could have it; so could another that no VM has
    on_vfio,
    another_driver, // has a GPU that could have it, and makes no such nodes
    never
};

struct NodeProspect {
    Prospect prospect = Prospect::never;
    std::vector<const HostGpu*> candidates; // that could have such a node, whoever has them now

    const HostGpu* vms_gpu() const; // the first that a VM has; nullptr if none has one

    // The first that a driver has which makes no such nodes: nouveau, of NVIDIA's; nullptr if none has one.
    const HostGpu* others_gpu(const GpuNode& node) const;

    // Of a node below /dev/dri: nobody else has one to come, and NVIDIA's driver, which has its GPU, leaves
    // such nodes to a module of its own.
    bool needs_nvidia_drm() const;
};

// The GPUs outlive the answer.
NodeProspect prospect_of(const GpuNode& node, const std::vector<HostGpu>& gpus);

// Nodes of that kind that the GPU has now: "/dev/dri/card1", "/dev/nvidia0".
std::vector<std::string> nodes_of_kind(NodeKind kind, const HostGpu& gpu);

// A VM has it, or is about to.
bool is_a_vms(const HostGpu& gpu);

// A driver that is loaded would take it.
bool can_be_bound(const HostGpu& gpu);

} // namespace pvegpu
