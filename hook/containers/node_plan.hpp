// Which device nodes a container needs and what brings those that are missing. Pure.
#pragma once

#include "containers/node_facts.hpp"
#include "proxmox/lxc_config.hpp"
#include "recovery/plan.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// Modules to load, nodes to make, nodes to wait for. Refused where the container cannot start without a node
// and VMs have each GPU that it could be of right now; what is less certain is a warning.
Plan make_container_plan(const Request& request, const LxcConfig& config, const NodeSituation& situation,
                         const Settings& settings);

// Nodes that are mounted into the container while no lxc.cgroup2.devices.allow covers the number that they
// have since this boot: each names the line to write instead.
struct StaleNumber {
    std::string found, remedy;
};
std::vector<StaleNumber> stale_numbers(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                       const KernelDevices& majors);

// The same as sentences.
std::vector<std::string> stale_number_warnings(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                               const KernelDevices& majors);

// Nodes that are mounted into an unprivileged container and that nobody in it may open: their owner and group
// on the host are nobody there. A devN is given to the container's own users (create_passthrough_device_node
// in pve-container's LXC.pm).
std::vector<std::string> foreign_node_warnings(const LxcConfig& config, const std::vector<NodeFacts>& nodes);

} // namespace pvegpu
