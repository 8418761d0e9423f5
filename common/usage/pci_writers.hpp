// Tasks that are inside the kernel's PCI add, remove, reset and driver-binding code at this moment.
#pragma once

#include "machine/system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct PciWriter {
    pid_t pid = 0;       // of the task: a process, or a thread of one, which /proc finds by this number too
    std::string program; // a thread's own name, which mostly is its process's
    std::string where;   // the function of the kernel that gave it away: "remove_store"
    bool stuck =
        false; // it waits for a VM to close a vfio device, with the PCI core locked: it may never end
};

std::vector<PciWriter> find_pci_writers(const SysReader& reader);

} // namespace pvegpu
