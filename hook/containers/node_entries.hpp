// What is wrong with a container's lines while the nodes themselves are there. Pure.
#pragma once

#include "containers/node_facts.hpp"
#include "proxmox/lxc_config.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// "'/dev/dri/card0' (dev0)"
std::string named(const WantedNode& wanted);

// Nodes that are mounted into the container while no lxc.cgroup2.devices.allow covers the number that they
// have since this boot: each names the line to write instead.
std::vector<Advice> stale_numbers(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                  const KernelDevices& majors);

// Nodes that are mounted into an unprivileged container and that nobody in it may open: their owner and group
// on the host are nobody there. A devN is given to the container's own users (create_passthrough_device_node
// in pve-container's LXC.pm). `capabilities` are those of NodeHost.
std::vector<Advice>
foreign_nodes(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
              const std::optional<std::map<unsigned, std::string>>& capabilities = std::nullopt);

// Each two entries of a container for one path in it: Proxmox makes a file there where LXC or Proxmox has
// made one already (mknod in lxc-pve-autodev-hook and create_passthrough_device_node), and the start fails.
std::vector<Advice> double_entries(const LxcConfig& config, const std::vector<LxcDevice>& devices);

} // namespace pvegpu
