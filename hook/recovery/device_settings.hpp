// What an administrator, a udev rule or the firmware has set on a PCI device, and what the kernel forgets
// when it is removed and found again (measured on 6.12: "bus" to reset_method, remove, rescan: "flr bus").
// power/control and d3cold_allowed of what a guest has are the guest state's too: it is kept awake, and as it
// was at the stop.
#pragma once

#include "machine/system.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// reset_method, msi_bus, numa_node, the switches below link/, power/control and d3cold_allowed of the device
// and of everything below it, for the journal: before it is removed. A device that shows its link's switches
// only while it is enabled is enabled for that moment.
std::vector<Undo> device_settings_below(const RunContext& run, const PciAddress& address);

// Puts back what is noted and differs by now. What is not there yet stays noted. Warns of what cannot be put
// back. Throws Error(stuck_write).
void put_back_device_settings(const RunContext& run);

// Where a function's own reset is harmful (device table), or the settings choose one: what Proxmox's write to
// `reset`, QEMU's open and its machine reset use from now on. "bus" where the kernel offers it, else nothing:
// then `reset` answers ENOTTY, and QEMU resets all functions of the slot that the guest has, together. What
// was set before is saved in the guest's state first. Warns where it has no effect.
void choose_reset_methods(const RunContext& run, const CardPlan& card, GuestState& state);

// At the guest's stop. Warns in the log where it cannot. Throws no Error.
StepOutcome put_back_reset_method(System& system, const Setting& setting);

// `path` is a function's power/control or d3cold_allowed. Nothing is written where it is awake already.
// The write wakes a device that sleeps, and out of D3cold the kernel waits for it up to 60 s (pci_dev_wait in
// drivers/pci/pci.c), as after a reset. Throws Error(stuck_write).
void keep_awake(System& system, const std::string& path, Milliseconds within);

// At a stop, and after a start that failed. Throws Error(stuck_write).
StepOutcome put_back_power(System& system, const Setting& setting);

} // namespace pvegpu
