// From hostpci lines to the functions that Proxmox will pass. Pure.
#pragma once

#include "base/pci_address.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/pci_mapping.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct MappingChoice {
    std::vector<PciAddress> functions; // in the order in which Proxmox passes them
    std::vector<HostSelector> missing; // what Proxmox asks for and no function of the host matches
    std::optional<MappedDevice> mapped;
};

struct PassedDevice {
    std::string key; // "hostpci0"
    std::optional<std::string> mapping;
    std::optional<std::string> mdev;
    bool keep_driver = false;
    std::vector<MappingChoice> alternatives; // one, but for a mapping with several entries of this node
    std::size_t chosen = 0;
    bool on_vfio = false;     // and with it each of its functions is on a driver of vfio's already
    bool nvidia_vgpu = false; // by NVIDIA's own files in sysfs: the function is one vGPU, and has no mdev

    // Proxmox gives it to the guest whole: on vfio-pci, to which it binds it, or kept on what the host has
    // bound of vfio's.
    bool passed_whole() const { return !mdev && (!keep_driver || on_vfio); }
    // Proxmox chooses and reserves it for one hostpciN alone (choose_hostpci_devices in qemu-server's
    // PCI.pm); mediated devices share theirs.
    bool reserved() const { return !mdev || nvidia_vgpu; }
    const MappingChoice& taken() const { return alternatives.at(chosen); }
};

// The devices in the order of N. `all` is every function of the host in the order of addresses. Throws
// Error(invalid_config) or Error(not_found) where Proxmox would refuse to start: both or neither of host and
// mapping, an unknown mapping, a mapping without an entry of this node.
std::vector<PassedDevice> resolve_hostpci(const GuestConfig& config, const PciMappings& mappings,
                                          const std::string& node, const std::vector<PciAddress>& all);

// The line by which the guest is given a function; nothing if no line names it.
const PassedDevice* device_of(const std::vector<PassedDevice>& devices, const PciAddress& address);
std::string key_of(const std::vector<PassedDevice>& devices, const PciAddress& address);

// What Proxmox asks for of the devices that it gives to the guest whole, and no function of the host matches.
// Refers to the devices.
struct MissingFunction {
    const PassedDevice& device;
    const HostSelector& selector;
};
std::vector<MissingFunction> missing_functions(const std::vector<PassedDevice>& devices);

// Whether the selector names one of the functions.
bool names_one(const HostSelector& selector, const std::vector<PciAddress>& functions);

// Chooses as choose_hostpci_devices in qemu-server's PCI.pm, in the order of N: the first alternative whose
// functions are free and not taken by an earlier hostpciN of this guest. Nothing free: the first that is not
// taken by one, so that its holder will be named. Leaves the lines of mediated devices alone.
void choose_alternatives(std::vector<PassedDevice>& devices,
                         const std::function<bool(const std::vector<PciAddress>&)>& is_free);

} // namespace pvegpu
