// The story of a recovery: cards go through their steps together, stage by stage.
#pragma once

#include "base/error.hpp"
#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <optional>
#include <vector>

namespace pvegpu {

// One card on its way.
struct CardRun {
    CardPlan* card;                       // what is found again with it joins its functions,
    std::vector<Step> steps;              // and is bound and verified like the others
    std::vector<StepReport> reports = {}; // of its steps, as they have ended; after run_stages of all of them
    std::optional<Error> failure = {};    // at which it has left the others: it may be tried another way
    std::vector<PciAddress> removed = {};
};

// Takes all cards through: wake | unbind | remove, where the reset comes after | reset | remove | rescan |
// bind or give back | verify. Each stage begins when the one before is over. Several cards are woken,
// unbound, reset, bound and verified at once, up to `at_once`; cards whose ports lie above one another are
// not. They are removed and found again one by one, in the order of their IOMMU groups: the kernel's lock for
// that is the whole host's, and a group gets the lowest number that is free.
//
// What has to be undone in a stage is in the journal before the stage begins.
//
// A card whose step fails leaves the others, and its `failure` says why. What ends the whole run is thrown
// when those that were at it have come back: Error(stuck_write) when the kernel does not come back,
// Error(in_use) when somebody has begun to use a device, Error(timed_out), Error(interrupted).
void run_stages(const RunContext& run, const RecoveryPlan& plan, std::vector<CardRun>& cards,
                unsigned at_once);

} // namespace pvegpu
