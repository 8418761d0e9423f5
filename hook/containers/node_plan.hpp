// Which device nodes a container needs and what brings those that are missing. Pure.
#pragma once

#include "containers/node_facts.hpp"
#include "proxmox/lxc_config.hpp"
#include "run/step_report.hpp"
#include "settings/settings.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct NodeStep {
    enum class Kind { load, create, wait }; // a module; a node, by NVIDIA's own program; for a node
    Kind kind = Kind::wait;
    std::string target; // the module's name or alias, the node's path
};

StepReport report_of(const NodeStep& step);

// A container and the nodes that it asks for; at boot all containers of the host.
struct ContainerGuest {
    std::optional<unsigned> vmid; // nothing: all, and none of them is being started
    LxcConfig config;
    std::vector<WantedNode> wanted;
    std::vector<Advice> warnings; // of its configuration
};

struct NodePlan {
    std::optional<Refusal> refused;
    std::vector<Advice> warnings;
    std::vector<NodeFacts> nodes;
    std::vector<NodeStep> steps;
};

// Modules to load, nodes to make, nodes to wait for. Refused where the container cannot start without a node
// and VMs have each GPU that it could be of right now; what is less certain is a warning.
NodePlan make_container_plan(const ContainerGuest& guest, const NodeSituation& situation,
                             const Settings& settings);

std::vector<StepReport> planned_steps(const NodePlan& plan);

// The GPU could have such a node, whoever has it now.
bool could_have(const HostGpu& gpu, const GpuNode& node);

// Why a node is not there and no step can bring it.
struct Obstacle {
    Advice why;                // the fact goes on from a sentence that has named the node
    bool vms_have_all = false; // each GPU that it could be of
};
std::optional<Obstacle> why_missing(const WantedNode& wanted,
                                    const std::vector<HostGpu>& gpus); // nothing: steps can

// Nodes that are mounted into the container while no lxc.cgroup2.devices.allow covers the number that they
// have since this boot: each names the line to write instead.
std::vector<Advice> stale_numbers(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                  const KernelDevices& majors);

// Nodes that are mounted into an unprivileged container and that nobody in it may open: their owner and group
// on the host are nobody there. A devN is given to the container's own users (create_passthrough_device_node
// in pve-container's LXC.pm).
std::vector<Advice> foreign_nodes(const LxcConfig& config, const std::vector<NodeFacts>& nodes);

} // namespace pvegpu
