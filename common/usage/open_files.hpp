// Which processes have device nodes open.
#pragma once

#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct OpenNode {
    pid_t pid = 0;
    DeviceNumber number;
    std::string path; // as the process opened it, in its own view of the file system
};

// One pass over all processes but our own, those in containers included: a device number is the same
// everywhere. Files that cannot be looked at without waiting are left out.
std::vector<OpenNode> find_open_nodes(const SysReader& reader, std::vector<DeviceNumber> wanted);

struct OpenVfioDevice {
    pid_t pid = 0;
    PciAddress function;
};

// Processes that were handed a vfio device without its group. Only kernels from 6.18 on tell which one it is.
std::vector<OpenVfioDevice> find_open_vfio_devices(const SysReader& reader);

std::string program_of(const SysReader& reader, pid_t pid);          // /proc/PID/comm
std::optional<unsigned> vmid_of(const SysReader& reader, pid_t pid); // of a VM of Proxmox

} // namespace pvegpu
