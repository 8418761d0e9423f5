// What the registers of a card's port and of the bridges on the card say. They are read back because the
// kernel's word for a reset is not enough: reset_subordinate does not exclude a rescan. Measured on 6.1, 6.12
// and 7.2: of 120 resets beside rescans 23 left the port's reset bit set, and the numbers of a switch on the
// card were overwritten.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

namespace pvegpu {

// A port that never reports an active link cannot say when it has come back (QEMU's root ports without
// pciehp, some old boards).
struct Link {
    bool reported = false;
    bool up = false;
};

Link link_below(const SysReader& reader, const PciAddress& port);

bool something_is_below(const SysReader& reader, const PciAddress& port); // that the kernel knows

// PCI Express Base Specification 6.6.1: configuration requests may be sent 100 ms after the link is up.
inline constexpr Milliseconds after_link_up{100};

// Waits until the link below the port is up or what the kernel knows there answers, and 100 ms more, as the
// standard wants. False when that takes longer than `within`. A port without anything known below gets a
// second.
bool wait_until_ready(const RunContext& run, const PciAddress& port, Milliseconds within);

// Clears the reset bit of a bridge where it was left set, and waits as after a reset: every look in 100 ms
// shows the bit, and no task is at work in the PCI core. Only the byte with that bit is written. True if
// there was one. Throws Error(stuck_write).
bool clear_left_reset(const RunContext& run, const PciAddress& bridge, Milliseconds ready_within);

// Throws Error(disturbed) if a bridge on the card has other bus numbers in its registers than the kernel has
// given it: what is below it is then out of reach, and only a scan of the whole card gives it new ones.
// Nothing here reads a bridge's `config`: where a rescan has come between, the reset leaves it locked for
// ever, and a read that hangs in there keeps the bridge from being removed (measured on 6.12 and 7.2).
void check_bridges(const RunContext& run, const CardPlan& card);

// The first of the port and the bridges above it that has lost its numbers.
std::optional<Function> lost_bridge_above(const SysReader& reader, const PciAddress& port);

// Waits half a second for it. True if it has its numbers, or is gone.
bool has_its_numbers(System& system, const PciAddress& bridge);

// Of what was read. Pure.
bool has_lost_its_numbers(const Function& bridge);
std::string lost_numbers(const Function& bridge); // "has lost its bus numbers (02 02 instead of 02 04)"
Advice without_numbers(const Function& bridge);   // of one above a card

} // namespace pvegpu
