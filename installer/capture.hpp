// This host as a test fixture: the format of tests/machine_file.hpp.
#pragma once

#include "system.hpp"

#include <string>

namespace pvegpu {

// PCI functions, buses, groups and drivers, and the nodes, disks and interfaces that drivers made of them;
// the kernel's release; of guests only what names their devices. No serial numbers, names, descriptions,
// command line or addresses of a network.
std::string capture_machine(const SysReader& reader);

} // namespace pvegpu
