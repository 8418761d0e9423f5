// /lib/modules/RELEASE/modules.alias: which modules drive a PCI function. Format: modules.alias of kmod.
#pragma once

#include "pci/topology.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// "pci:v00008086d000056A6sv00001849sd00006006bc03sc00i00", as the kernel's `modalias` file has it.
std::string modalias(const Function& function);

// '*' and '?' as in a shell's pattern; "[0-9]" sets do not occur for PCI and match nothing.
bool matches_pattern(std::string_view pattern, std::string_view text);

// The modules of every function, in the order of the functions, each in the order of the file; those that
// only lend a device to a guest (vfio-pci, pci-stub) are left out. One pass over the file, which has
// megabytes.
std::vector<std::vector<std::string>> modules_of(std::string_view aliases,
                                                 const std::vector<Function>& functions);

// Of a module's or driver's name that goes into a file of ours: letters, digits, '_' and '-'.
bool is_module_name(std::string_view name);

// "i915", "snd_hda_intel": as the kernel spells modules, with '_'.
std::string module_name(std::string_view name);

bool lends_devices(std::string_view module);

} // namespace pvegpu
