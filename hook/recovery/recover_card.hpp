// One card from its plan to its verification, with the whole card if its functions alone did not help, and
// again as long as somebody else's work on the PCI bus undoes it.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <vector>

namespace pvegpu {

// Appends every step to `reports` as it goes. Throws Error as the steps do, Error(failed) with what is wrong
// when the card is not usable in the end, and Error(needs_power_cycle) when it does not even answer.
//
// What comes back with the card and was missing when it was looked at joins its functions, and the guest's
// notes: it is bound and verified like the others.
void recover_card(const RunContext& run, const RecoveryPlan& plan, CardPlan& card,
                  std::vector<StepReport>& reports);

// The steps of a card that is given back to the host, as they stand. Throws as they do.
void run_card_steps(const RunContext& run, CardPlan& card, std::vector<StepReport>& reports);

} // namespace pvegpu
