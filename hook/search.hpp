// Looking for a function that the guest names and that is not on the bus: it fell off, or a killed run had
// removed it and could not be repaired.
#pragma once

#include "plan.hpp"
#include "writes.hpp"

namespace pvegpu {

// Rescans the plan's search buses; where that brings nothing, resets what hangs there, which is nothing that
// the kernel knows, and rescans once more. What was found is left without a driver where the kernel allows
// it: it may be dirty. Throws Error(stuck_write). Read the situation again afterwards.
void search_missing(const Run& run, const Plan& plan);

} // namespace pvegpu
