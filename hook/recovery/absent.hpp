// Why a device that a guest names is not on the PCI bus, as far as the host tells. Nothing is concluded from
// its absence alone.
#pragma once

#include "base/advice.hpp"
#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct HostSelector; // proxmox/guest_config.hpp
struct PassedDevice; // proxmox/passthrough.hpp

// By what the guest's lines say ("0000:06:10.1"), each with a cause that the host shows: a virtual function
// that its parent does not have, a hotplug slot that is empty or off, a device with the same ids at another
// address (of a mapping, or of our notes of this boot), a Thunderbolt or USB4 device that nobody has
// authorised, a device that was there at an earlier start. Not in it: what nobody can tell.
using AbsentCauses = std::map<std::string, Advice>;
AbsentCauses why_absent(const SysReader& reader, const std::vector<PassedDevice>& devices,
                        const std::vector<PciAddress>& all);

// The fact, its cause and what to do; nothing where no cause of it is known.
std::optional<Advice> with_cause(const std::string& fact, const AbsentCauses& causes,
                                 const HostSelector& missing);

} // namespace pvegpu
