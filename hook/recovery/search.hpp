// Looking for a function that the guest names and that is not on the bus: it fell off, or a killed run had
// removed it and could not be repaired.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

namespace pvegpu {

// Rescans the plan's search buses; where that brings nothing, resets what hangs there, which is nothing that
// the kernel knows, and rescans once more. What was found is left without a driver where the kernel allows
// it: it may be dirty. Throws Error(stuck_write). Read the situation again afterwards.
void search_missing(const RunContext& run, const RecoveryPlan& plan);

// The last step of a search: what is left of the card is removed, the port resets it, and its bus is scanned
// anew. Only for a card that nothing says must be left alone. Throws as the steps do.
void search_card(const RunContext& run, const RecoveryPlan& plan, const LostCard& lost);

} // namespace pvegpu
