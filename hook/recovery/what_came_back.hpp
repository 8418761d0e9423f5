// What came back of a card, beside what the plan says of it.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <vector>

namespace pvegpu {

// Whatever appears below the card's port when the card is found again is the card's: it was missing when the
// plan was made. It joins the card's functions, is warned of and noted, and what is the guest's is bound and
// verified. The situation is read once more for it.
void adopt_what_appeared(const RunContext& run, const RecoveryPlan& plan, CardPlan& card,
                         std::vector<Step>& steps);

// Warns of what differs from before. Throws Error(failed) or Error(no_memory) for the first difference with
// which the guest cannot use the function.
StepOutcome verify(const RunContext& run, const RecoveryPlan& plan, const CardPlan& card,
                   const PciAddress& address);

// Warns of a link that is slower or narrower than before.
void verify_link(const RunContext& run, const CardPlan& card);

// Throws Error(failed) if something that the guest's lines name below the card's port is missing still.
void verify_named(const RunContext& run, const RecoveryPlan& plan, const CardPlan& card);

} // namespace pvegpu
