// Who uses a PCI function. Everything here only looks; nothing opens a device node.
#pragma once

#include "base/advice.hpp"
#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct Function; // pci/topology.hpp

struct Holder {
    enum class Kind {
        vfio,         // a vfio-pci function is open: a VM has it, whether or not we find the process
        process,      // a process has a device node of the function open
        reservation,  // Proxmox has given it to a VM
        claim,        // this hook has prepared it for a VM that is being started
        mount,        // a mounted file system, swap area, or a RAID, LVM or ZFS member
        network,      // a network interface that has an address or a route, or is part of another one
        idle_network, // one that is merely up
        usb           // a USB device is plugged into the controller
    };

    Kind kind = Kind::process;
    PciAddress function;
    std::optional<unsigned> vmid;
    std::optional<pid_t> pid;
    std::string program;                    // the process's name as /proc/PID/comm has it
    std::string detail;                     // the device node, mount point or interface
    std::optional<unsigned> container = {}; // of Proxmox, that the process is in
    std::string instance = {};              // of Incus or LXD: the VM, by name,
    std::string instance_container = {};    // or the container that the process is in

    bool operator==(const Holder&) const = default;
};

// "VM 102 (pid 4711, kvm)", "VM 'web' (pid 4711, qemu-system-x86)", "container 901 (pid 812, plex), which has
// '/dev/dri/renderD128' open",
// "'nvme0n1p1' mounted on '/srv'", "network interface 'eno1'"
std::string describe(const Holder& holder);

// "'0000:03:00.0' is in use by VM 102 (pid 4711, kvm); stop it first"
Advice in_use_message(const Holder& holder);

// Everybody who uses one of the functions, except the guest `own_vmid`'s reservations and claims. In the
// order of the functions, each holder once. Sources: vfio-pci `enable` and device nodes against /proc/PID/fd,
// fdinfo and /proc/mounts' device numbers; Proxmox's /run/qemu-server/pci-id-reservations, as far as their
// time has not passed; our own claims.
std::vector<Holder> find_holders(const SysReader& reader, const std::vector<Function>& functions,
                                 std::optional<unsigned> own_vmid);

} // namespace pvegpu
