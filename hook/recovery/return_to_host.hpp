// A guest's stop, done.
#pragma once

#include "machine/system.hpp"
#include "recovery/return_plan.hpp"

#include <vector>

namespace pvegpu {

// What would be done with the functions that the guest was given, as far as they are still there.
ReturnPlan plan_return_to_host(const SysReader& reader, const Request& request, const GuestState& state,
                               const SettingsFile& settings);

// Does it: with the host lock where cards are given back. Warnings and steps are added as it goes. Throws
// Error.
void return_to_host(System& system, const Request& request, const ReturnPlan& plan,
                    std::vector<Advice>& warnings, std::vector<StepReport>& steps);

// The writes of a plan that has nothing else.
void put_back_settings(System& system, const ReturnPlan& plan, std::vector<StepReport>& steps);

} // namespace pvegpu
