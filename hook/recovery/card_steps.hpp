// The steps that recover one card. Pure.
#pragma once

#include "recovery/plan.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct CardSteps {
    std::vector<Step> first;
    std::vector<Step> second; // when the first leave the card unusable: from the top, with everything removed
    std::vector<Step> third;  // when the kernel then finds no room for its memory: with the port above it
    std::vector<std::string> warnings;
};

CardSteps steps_for(const CardPlan& card, const Situation& situation);

} // namespace pvegpu
