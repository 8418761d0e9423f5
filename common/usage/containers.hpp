// The containers that run on this host, by their control groups. Proxmox puts the processes of container 901
// below lxc/901/ns (update_lxc_config in pve-container's LXC.pm); a container cannot leave that group.
#pragma once

#include "machine/system.hpp"

#include <optional>
#include <sys/types.h>
#include <vector>

namespace pvegpu {

std::vector<unsigned> running_containers(const SysReader& reader); // sorted

// The container that a process belongs to; nothing for one of the host.
std::optional<unsigned> container_of(const SysReader& reader, pid_t pid);

// The container's first process, in the host's numbers; nothing if it does not run or hides too well. It is
// told by its pid in its own namespace, which a container cannot forge.
std::optional<pid_t> container_init(const SysReader& reader, unsigned vmid);

} // namespace pvegpu
