// Which GPU a node could be of, and why one that is missing does not come. Pure.
#pragma once

#include "containers/node_facts.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// The GPU could have such a node, whoever has it now.
bool could_have(const HostGpu& gpu, const GpuNode& node);

// Why a node is not there and no step can bring it.
struct Obstacle {
    Advice why;                            // the fact goes on from a sentence that has named the node
    bool vms_have_all = false;             // each GPU that it could be of
    bool is_the_lines = false;             // it names what this host does not have
    bool is_superfluous = false;           // that line: others name all that there is of the kind
    bool is_the_hosts = false;             // the host lacks something; the line may be right
    std::vector<std::string> instead = {}; // of its kind, that are there and that no line names
};
std::optional<Obstacle> why_missing(const WantedNode& wanted,
                                    const std::vector<HostGpu>& gpus); // nothing: steps can

// The same with all that is known of the host, for a container that names `all` of these.
std::optional<Obstacle> why_missing(const WantedNode& wanted, const NodeHost& host,
                                    const std::vector<WantedNode>& all);

// Why nothing but chance makes a node that a step would have to make: NVIDIA's driver leaves it to
// nvidia-modprobe, which is not installed.
std::optional<Advice> no_maker(const GpuNode& node, const NodeHost& host);

// A driver of the host has a GPU that could have the node, or NVIDIA's, which makes it, is loaded.
bool is_served(const GpuNode& node, const NodeHost& host);

// The modules, or aliases of modules, that make a node of /dev/dri or /dev/kfd where no driver has made it.
std::vector<std::string> drivers_to_load(const GpuNode& node, const std::vector<HostGpu>& gpus);

} // namespace pvegpu
