// Our own claims, one file for each guest below /run/pve-gpu-hook/claims: between our exit at pre-start and
// the moment when QEMU opens the device nobody else holds it, and two VMs on one mapping would choose the
// same card.
//
// {"vmid":101,"parent":{"pid":4711,"start_time":123456},"functions":["0000:03:00.0","0000:04:00.0"]}
#pragma once

#include "base/pci_address.hpp"
#include "usage/process.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct Claim {
    unsigned vmid = 0;
    Process parent; // who started us: Proxmox's task
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

} // namespace pvegpu
