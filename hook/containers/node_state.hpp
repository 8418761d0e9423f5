// The state of a host's GPU device nodes, for the log: what a timeout leaves behind for whoever looks later.
#pragma once

#include "machine/system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// One line each: the nodes with their numbers, the drivers' major numbers, the modules, the GPUs with their
// drivers, and whether NVIDIA's persistence daemon runs.
std::vector<std::string> state_of_nodes(const SysReader& reader);

// "550.90.07" of the NVIDIA module that is loaded; empty if none is.
std::string nvidia_module_version(const SysReader& reader);

} // namespace pvegpu
