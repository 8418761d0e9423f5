// What the drivers of a PCI function have made of it: device nodes, disks, network interfaces, USB devices.
#pragma once

#include "machine/system.hpp"
#include "pci/topology.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct BlockDevice {
    std::string name; // "nvme0n1p1", as below /sys; a "/" of the node's name is a "!" here
    DeviceNumber number;
    bool partition = false;
    std::vector<std::string> used_by; // md and dm devices made of it
};

struct NetworkInterface {
    std::string name;
    std::string use; // as use_of_interface tells it; empty: it is merely up
};

struct DeviceFiles {
    std::vector<DeviceNumber> nodes; // character and block, those of a VFIO group included
    std::vector<BlockDevice> block_devices;
    std::vector<NetworkInterface> interfaces; // that are up, or that something uses
    std::vector<std::string> usb_devices;     // plugged into a root hub: "1-4 Keychron K2"
    bool on_vfio = false;                     // bound to vfio-pci or to a variant of it
    bool vfio_open = false;                   // and its device is open
};

// Of "226:1", as the kernel writes it; nothing for other text.
std::optional<DeviceNumber> parse_device_number(std::string_view text, bool block);

// Walks the function's real directories below /sys/devices, not through links, and not into the functions
// below a bridge.
DeviceFiles find_device_files(const SysReader& reader, const Function& function);

// The N of the function's /dev/nvidiaN; nothing while NVIDIA's driver does not have it.
std::optional<unsigned> nvidia_minor(const SysReader& reader, const PciAddress& address);

bool is_vfio_driver(std::string_view name);

// Whether the device of a function on vfio-pci is open.
bool is_vfio_open(const SysReader& reader, const PciAddress& function);

} // namespace pvegpu
