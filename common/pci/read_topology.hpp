// Reads what sysfs says of the functions around some devices.
#pragma once

#include "machine/system.hpp"
#include "pci/topology.hpp"

#include <vector>

namespace pvegpu {

// The functions of `wanted` that exist, the bridges above them, the members of their IOMMU groups, and for a
// GPU everything below the root port that it hangs on. Configuration space is read of a GPU, of what shares
// its port or its switch and of the bridges above, each within the timeout; a function whose configuration
// space does not answer in time gets none. Reading grows with the devices asked for, not with the host's.
Topology read_topology(const SysReader& reader, const std::vector<PciAddress>& wanted,
                       Milliseconds config_timeout);

} // namespace pvegpu
