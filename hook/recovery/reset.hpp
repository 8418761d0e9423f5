// The reset of a card by the port above it.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/steps.hpp"
#include "recovery/writes.hpp"

namespace pvegpu {

// A reset that the kernel refuses is a warning: removing and finding the card again is still worth it, and
// the verification decides. Throws Error(stuck_write).
// Takes the port of the reset from pciehp, which would see a card leave; restore_hotplug gives it back. On
// kernels 7.x resets below ports that pciehp has wait for each other.
void quiet_hotplug(const RunContext& run, const CardPlan& card, const Reset& step);

StepOutcome reset(const RunContext& run, const CardPlan& card, const Reset& step);

// The reset leaves pciehp's service off the port, if it had one: pciehp takes the link's going down for the
// card being pulled. It comes back when the card is there again; on an empty port it would switch the slot on
// by itself, while we rescan. True if a port has it again.
bool restore_hotplug(const RunContext& run);

} // namespace pvegpu
