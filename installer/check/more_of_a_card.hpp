// How a guest is passed more of a card, or less. Pure.
#pragma once

#include "check/facts.hpp"

namespace pvegpu {

// These functions of the GPU's card too: by lines of their own, or in the resource mapping of the GPU's line.
Remedy pass_them(const CheckFacts& facts, const SurveyedGuest& guest, const PciAddress& gpu,
                 const std::vector<PciAddress>& left);

// What the guest has of a card whose GPU is another's is taken out of its lines.
Remedy give_back(const SurveyedGuest& guest, const Card& card);

} // namespace pvegpu
