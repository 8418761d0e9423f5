// The unit that starts a VM of Incus or LXD at boot, with a clean card.
#pragma once

#include "base/instance_name.hpp"

#include <string>

namespace pvegpu {

// "pve-gpu-incus@lab-web.service": the name as systemd escapes it (systemd.unit(5), "String escaping").
std::string boot_unit(const InstanceName& name);
// What 'systemctl enable' makes of it.
std::string boot_unit_link(const InstanceName& name);
// "systemctl disable pve-gpu-incus@web", quoted for a shell.
std::string disable_command(const InstanceName& name);

} // namespace pvegpu
