// Our own claims, one file for each guest below /run/pve-gpu-hook/claims: between our exit at pre-start and
// the moment when QEMU opens the device nobody else holds it, and two VMs on one mapping would choose the
// same card.
//
// {"vmid":101,"parent":{"pid":4711,"start_time":123456},"functions":["0000:03:00.0","0000:04:00.0"]}
#pragma once

#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// Who started us: Proxmox's task. The start time tells it from a later process with the same pid.
struct ClaimParent {
    pid_t pid = 0;
    std::uint64_t start_time = 0;

    bool operator==(const ClaimParent&) const = default;
};

struct Claim {
    unsigned vmid = 0;
    ClaimParent parent;
    std::vector<PciAddress> functions;

    bool operator==(const Claim&) const = default;
};

std::string print_claim(const Claim& claim);

// Nothing of a damaged file.
std::optional<Claim> parse_claim(std::string_view text);
std::vector<Claim> read_claims(const SysReader& reader);

// Whether the task that made it still runs, and is not the one that runs us: a task starts one guest at a
// time (a backup, say, that goes on to the next guest), so its earlier claims are over. A claim also ends
// when Proxmox has reserved the device for its guest; find_holders knows the reservations.
bool claim_holds(const SysReader& reader, const Claim& claim);

// Of a process: field 22 of its /proc/PID/stat; 0 if there is no such process.
std::uint64_t start_time(const SysReader& reader, pid_t pid);

} // namespace pvegpu
