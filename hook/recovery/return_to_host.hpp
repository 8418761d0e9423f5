// After a guest has stopped: its cards back to the host, as far as the settings want it.
#pragma once

#include "hook/report.hpp"
#include "machine/system.hpp"
#include "recovery/guest_state.hpp"

namespace pvegpu {

// With after_stop "native" the cards are reset once more, for the guest has left them dirty, and given to the
// drivers that they had before the start; then, and with "keep", the power settings are as they were.
// Warnings and steps go to the report. Throws Error.
void return_to_host(System& system, const GuestState& state, Report& report);

} // namespace pvegpu
