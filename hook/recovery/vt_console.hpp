// The host's text console on the guest's GPU.
#pragma once

#include "pci/topology.hpp"
#include "recovery/writes.hpp"

namespace pvegpu {

inline constexpr Milliseconds console_within{
    5'000}; // a console is switched in milliseconds, or its driver hangs

// Takes the console, and a firmware framebuffer without a real driver, off the GPU if it is the only screen
// that they have; noted in the journal, with a warning. The console alone is no reason not to start a guest.
void release_console(const RunContext& run, const Function& gpu);

} // namespace pvegpu
