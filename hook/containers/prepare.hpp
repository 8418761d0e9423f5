// The device nodes that a container needs, on the host, before it starts.
#pragma once

#include "containers/node_plan.hpp"
#include "machine/system.hpp"

namespace pvegpu {

// What would be done for the guest's wanted nodes.
NodePlan plan_container(const SysReader& reader, const ContainerGuest& guest, const Settings& settings);

// Does it, within the timeout "nodes" for all of it: fills the plan and the steps, and says what it warns of.
// A node that does not come is a warning with the state of the host's /dev ("fail later"), unless
// "on_timeout" is "fail". Throws Error(in_use) where a VM has the GPU.
void prepare_container(System& system, const ContainerGuest& guest, const Settings& settings, NodePlan& plan,
                       std::vector<StepReport>& steps);

// Proxmox looks at a devN path before it calls a hookscript (update_lxc_config in pve-container's LXC.pm), so
// pre-start is too late for those. Prepares them for every container of this node, what is pending in its
// configuration included; a VM's GPU is left alone. Says what comes and what does not. Throws Error where
// Proxmox's files do not answer, or a timeout is to fail ("on_timeout").
void prepare_nodes_at_boot(System& system);

} // namespace pvegpu
