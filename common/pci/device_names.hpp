// What a device is called, for people.
#pragma once

#include "machine/system.hpp"
#include "pci/topology.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

using DeviceNames = std::map<PciAddress, std::string>;

// "Intel Arc A310": by the device table, else by Debian's pci.ids where that is installed. What neither knows
// is not among the answers. pci.ids, 1.5 MB, is read only if the device table does not know all of them.
DeviceNames device_names(const SysReader& reader, const std::vector<const Function*>& functions);

std::string device_name(const DeviceNames& names, const PciAddress& address); // empty if it is not known

// "Intel Arc A310, 0000:03:00.0"; the address alone if its name is not known.
std::string with_name(const DeviceNames& names, const PciAddress& address);

// "'0000:03:00.0' (Intel Arc A310, 8086:56a6)"; the ids alone if its name is not known.
std::string named(const DeviceNames& names, const Function& function);

// Of the text of pci.ids, whose form its own header describes: the vendor's name as people say it, and what
// the device's name has in brackets, which is how the card is sold. Empty if the device is not in it.
std::string name_in_pci_ids(std::string_view text, std::uint16_t vendor, std::uint16_t device);

} // namespace pvegpu
