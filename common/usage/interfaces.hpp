// What the host uses a network interface for.
#pragma once

#include "machine/system.hpp"

#include <string>

namespace pvegpu {

// "which is in 'vmbr0'", "on which 'eno1.5' stands", "which has an address", "which carries a route"; empty
// if nothing uses it, be it up or not. `directory` is that of the interface below /sys. From sysfs' `master`
// and `upper_*` links (netdev_adjacent_sysfs_add in the kernel's net/core/dev.c), /proc/net/if_inet6,
// /proc/net/route, which is the main table, and where none of these tells a use the IPv4 addresses.
std::string use_of_interface(const SysReader& reader, const std::string& directory);

} // namespace pvegpu
