// /run/qemu-server/pci-id-reservations: which PCI functions Proxmox has given to which VM. Written and read
// by qemu-server's src/PVE/QemuServer/PCI.pm ($parse_pci_reservation_unlocked, reserve_pci_usage).
#pragma once

#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct Reservation {
    std::string id; // "0000:01:00.0"; Proxmox's grammar also allows no domain, and no function: all of them
    unsigned vmid = 0;
    std::optional<std::int64_t> until; // seconds since 1970: between the start of the VM and its QEMU
    std::optional<pid_t> pid;          // of the VM's QEMU, once it runs

    bool operator==(const Reservation&) const = default;
};

// Lines like "0000:01:00.0 101 pid:4711" and "0000:01:00.1 101 time:1700000015"; others are skipped, and of
// two lines for one id the last one counts, both as Proxmox does it.
std::vector<Reservation> parse_reservations(std::string_view text);

std::vector<Reservation> read_reservations(const SysReader& reader);

bool reserves(const Reservation& reservation, const PciAddress& function);

// Whether Proxmox would respect it: its time has not passed, or its pid is that of the running VM. It does
// not look at /proc/PID/cmdline as Proxmox does, because reading that can block.
bool reservation_holds(const SysReader& reader, const Reservation& reservation);

} // namespace pvegpu
