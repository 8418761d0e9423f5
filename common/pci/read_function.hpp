// Reads what sysfs says of one function.
#pragma once

#include "machine/system.hpp"
#include "pci/topology.hpp"

#include <optional>
#include <vector>

namespace pvegpu {

// Every PCI function of the host, by its name in sysfs, sorted. Reads one directory.
std::vector<PciAddress> list_functions(const SysReader& reader);

// Everything below a bridge, at any depth, sorted; nothing below what is no bridge. Reads a directory for
// each.
std::vector<PciAddress> list_below(const SysReader& reader, const PciAddress& bridge);

// The driver that is bound to the function; empty if none is. Reads one link.
std::string bound_driver(const SysReader& reader, const PciAddress& address);

// One function as it is now, without its configuration space; nothing if it is absent.
std::optional<Function> read_function(const SysReader& reader, const PciAddress& address);

// A configuration read that wakes a sleeping device takes up to a second; one of a dead device a minute.
inline constexpr Milliseconds config_space_within{5'000};

// Whether the kernel forbids writing configuration space (Secure Boot); nothing if it does not say.
std::optional<bool> locked_down(const SysReader& reader);

// Nothing if it does not answer in time or may not be read.
std::optional<ConfigSpace> read_config_space(const SysReader& reader, const PciAddress& address,
                                             Milliseconds timeout);

} // namespace pvegpu
