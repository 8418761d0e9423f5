// A PCI function as the programs' JSON has it.
#pragma once

#include "base/json.hpp"
#include "pci/topology.hpp"

#include <string>

namespace pvegpu {

// CONTRACT.md's "functions" of a card. `hostpci` is the key that names it, or empty.
Json function_json(const Function& function, const std::string& hostpci);

} // namespace pvegpu
