// Which device nodes a container needs and what brings those that are missing. Pure.
#pragma once

#include "containers/node_entries.hpp"
#include "containers/node_prospects.hpp"
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
NodePlan make_container_plan(const ContainerGuest& guest, const NodeHost& vm_facts, const Settings& settings);

std::vector<StepReport> planned_steps(const NodePlan& plan);

} // namespace pvegpu
