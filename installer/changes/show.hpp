// The plan as the administrator and other programs see it. Pure.
#pragma once

#include "changes/install_plan.hpp"

#include <optional>
#include <string>

namespace pvegpu {

std::string print_changes(const std::vector<Change>& changes); // reasons, unified diffs, programs

// "pve-gpu-hook/install/1"
std::string install_json(const InstallPlan& plan);

// Nothing stands for a file that is not there; it is shown as /dev/null. Empty if there is no difference.
std::string unified_diff(const std::string& path, const std::optional<std::string>& before,
                         const std::optional<std::string>& after);

} // namespace pvegpu
