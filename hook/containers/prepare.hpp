// The device nodes that a container needs, on the host, before it starts.
#pragma once

#include "containers/node_plan.hpp"
#include "machine/system.hpp"

namespace pvegpu {

// What would be done for the guest's wanted nodes.
NodePlan plan_container(const SysReader& reader, const ContainerGuest& guest, const Settings& settings,
                        std::int64_t wall_clock);

// Does it, within the timeout "nodes" for all of it: fills the plan and the steps, and says what it warns of.
// A node that does not come is a warning with the state of the host's /dev ("fail later"), unless
// "on_timeout" is "fail". Throws Error(in_use) where a VM has the GPU.
void prepare_container(System& system, const ContainerGuest& guest, const Settings& settings, NodePlan& plan,
                       std::vector<StepReport>& steps);

} // namespace pvegpu
