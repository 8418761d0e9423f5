// What the guest's hostpci lines name on this host, and which of a mapping's alternatives it will get.
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"
#include "pci/topology.hpp"
#include "proxmox/passthrough.hpp"
#include "usage/holders.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct NamedDevices {
    std::vector<PassedDevice> devices; // in the order of N
    std::vector<Advice> warnings;      // of the mappings, with file and line
};

// `all` is every function of the host in the order of addresses. Throws as resolve_hostpci, and
// Error(timed_out) when /etc/pve does not answer.
NamedDevices read_named_devices(const SysReader& reader, const GuestConfig& config,
                                const std::vector<PciAddress>& all);

// Why Proxmox will refuse to start: assert_valid in pve-guest-common's Mapping/PCI.pm looks at every
// alternative before it chooses one. What is missing is not told here.
struct MappingMismatch {
    std::string key, mapping; // "hostpci0", and what it names
    unsigned line = 0;        // of the mapping's entry in /etc/pve/mapping/pci.cfg
    std::string reason;       // "the mapping's id is '10de:2206', the device's is '10de:2204'"
};
std::vector<MappingMismatch> mapping_mismatches(const SysReader& reader,
                                                const std::vector<PassedDevice>& devices,
                                                const Topology& topology);

// Chooses for each device as Proxmox will, by what the holders say of other guests.
void choose_free_alternatives(std::vector<PassedDevice>& devices, const std::vector<Holder>& holders);

// What a mapping's path or a line's selector names as Proxmox looks at it: function 0 of a whole slot, in
// domain 0000 where none is named.
std::optional<PciAddress> first_function(const std::string& path);

} // namespace pvegpu
