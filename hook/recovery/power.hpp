// Keeping a card and the ports above it from sleeping, and giving the settings back.
#pragma once

#include "machine/system.hpp"
#include "recovery/guest_state.hpp"

#include <string>

namespace pvegpu {

// `path` is a function's power/control or d3cold_allowed. Nothing is written where it is awake already.
// The write wakes a device that sleeps, and out of D3cold the kernel waits for it up to 60 s (pci_dev_wait in
// drivers/pci/pci.c), as after a reset. Throws Error(stuck_write).
void keep_awake(System& system, const std::string& path, Milliseconds within);

// At a stop, and after a start that failed. Throws Error(stuck_write).
StepOutcome put_back_power(System& system, const Setting& setting);

} // namespace pvegpu
