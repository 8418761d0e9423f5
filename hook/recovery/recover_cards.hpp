// Cards from their plan to their verification.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <vector>

namespace pvegpu {

// All cards of the plan that are cycled go through their steps together (stages.hpp). One that fails is tried
// again alone when the others are ready: with the whole card if its functions did not help, and as long as
// somebody else's work on the PCI bus undoes it. Appends every step to `reports`, card by card.
//
// Throws Error as the steps do, Error(failed) with what is wrong when a card is not usable in the end, and
// Error(needs_power_cycle) when it does not even answer.
//
// What comes back with a card and was missing when it was looked at joins its functions, and the guest's
// notes: it is bound and verified like the others.
void recover_cards(const RunContext& run, RecoveryPlan& plan, std::vector<StepReport>& reports);

// The steps of cards that are given back to the host, together and once. Throws as they do.
void give_back_cards(const RunContext& run, std::vector<CardPlan> cards, unsigned at_once,
                     std::vector<StepReport>& reports);

} // namespace pvegpu
