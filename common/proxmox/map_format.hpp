// The value of a `map` line in pci.cfg: the keys and values that Proxmox's format knows (map_fmt in
// pve-guest-common's Mapping/PCI.pm).
#pragma once

#include "proxmox/pci_mapping.hpp"

#include <string_view>
#include <variant>

namespace pvegpu {

// The device, or a sentence that says why Proxmox drops the line.
std::variant<MappedDevice, std::string> parse_map(std::string_view value);

constexpr std::size_t max_description = 4096; // characters

} // namespace pvegpu
