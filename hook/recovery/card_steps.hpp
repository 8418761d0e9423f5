// The steps that recover one card. Pure.
#pragma once

#include "recovery/plan.hpp"

#include <vector>

namespace pvegpu {

struct CardSteps {
    std::vector<Step> first;
    std::vector<Step> whole_card, with_port; // see CardPlan
    std::vector<Advice> warnings;
};

CardSteps steps_for(const CardPlan& card, const VmFacts& vm_facts);

} // namespace pvegpu
