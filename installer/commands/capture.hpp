// This host as a test fixture: the format of tests/machine_file.hpp.
#pragma once

#include "machine/system.hpp"

#include <string>

namespace pvegpu {

// PCI functions, buses, groups and drivers, and the nodes, disks and interfaces that drivers made of them;
// the kernel's release, NUMA nodes, interrupt chips, governor, screens; of VMs with devices only those lines
// and what kind of machine is around them. No serial numbers, names, descriptions, command line, logs or
// addresses of a network, and no containers. Wakes no device; what could only be read by waking it is left
// out, and reads as asleep again.
std::string capture_machine(const SysReader& reader);

} // namespace pvegpu
