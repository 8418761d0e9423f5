// What the commands share that are about VMs of Incus and LXD.
#pragma once

#include "commands/commands.hpp"
#include "host/survey.hpp"

namespace pvegpu {

// Throws Error(not_found) where guests of Proxmox are asked about on a host that has Incus or LXD alone.
void require_host_of(const SysReader& reader, const Options& options);

// Puts back what an interrupted start has left, which a dry run says only. Throws Error where that cannot be,
// or where the VM is not there.
void begin_with(Session& session, const InstanceName& name);

// Throws Error where the survey has not seen it: what its daemon says of that.
void require_instance(const SysReader& reader, const Survey& survey, const InstanceName& name);

// Keeps everybody else of us from the VM as long as the session's System lives. Throws Error(in_use).
void take_instance_lock(Session& session, const InstanceName& name);

} // namespace pvegpu
