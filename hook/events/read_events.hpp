// `pve-gpu-hook --events VMID`: starts a guest anew that reboots by itself. design and facts:
// docs/guest-reboots.md.
#pragma once

#include "events/machine.hpp"

namespace pvegpu {

// Returns when the VM's QEMU is gone, has no monitor of our name, or the reader was told to end; until then
// it reads it. What it has armed it disarms first.
void read_events(const OpenSystem& open, unsigned vmid, ServiceManager manager);

} // namespace pvegpu
