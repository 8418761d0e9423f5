// The plan as the administrator and other programs see it. Pure.
#pragma once

#include "changes/install_plan.hpp"

#include <string>

namespace pvegpu {

std::string print_changes(const std::vector<Change>& changes); // reasons, unified diffs, programs
std::string print_plan(const InstallPlan& plan);

// "pve-gpu-hook/install/1"
std::string install_json(const InstallPlan& plan);

} // namespace pvegpu
