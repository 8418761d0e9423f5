// At boot, before Proxmox starts any guest: the device nodes that containers name by devN.
#pragma once

#include "machine/system.hpp"

namespace pvegpu {

// Proxmox looks at a devN path before it calls a hookscript (update_lxc_config in pve-container's LXC.pm), so
// pre-start is too late for those. Prepares them for every container of this node, what is pending in its
// configuration included; a VM's GPU is left alone. Says what comes and what does not. Throws Error where
// Proxmox's files do not answer, or a timeout is to fail ("on_timeout").
void prepare_nodes_at_boot(System& system);

} // namespace pvegpu
