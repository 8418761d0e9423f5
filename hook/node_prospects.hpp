// What a device node that is missing can become: who could make it, and who has taken its GPU. Pure.
#pragma once

#include "node_facts.hpp"

#include <vector>

namespace pvegpu {

enum class Prospect { can_come, taken_by_a_vm, on_vfio, never };

struct NodeProspect {
    Prospect prospect = Prospect::never;
    std::vector<const HostGpu*> candidates; // that could have such a node, whoever has them now

    const HostGpu* vms_gpu() const; // nullptr if no VM has one
};

// The GPUs outlive the answer.
NodeProspect prospect_of(const GpuNode& node, const std::vector<HostGpu>& gpus);

// A VM has it, or is about to.
bool is_a_vms(const HostGpu& gpu);

// A driver that is loaded would take it.
bool can_be_bound(const HostGpu& gpu);

} // namespace pvegpu
