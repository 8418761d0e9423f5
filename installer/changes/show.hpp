// The plan as the administrator and other programs see it. Pure.
#pragma once

#include "base/json.hpp"
#include "changes/install_plan.hpp"
#include "check/screen.hpp"

#include <optional>
#include <string>

namespace pvegpu {

// Reasons, unified diffs and programs; a line that sums up comes last, above the question.
std::string print_changes(const std::vector<Change>& changes, const Screen& screen = {});

// "5 files, 2 programs, hookscript of VM 101"
std::string sum_up(const std::vector<Change>& changes);

// "pve-gpu-hook/install/1"
Json install_json(const InstallPlan& plan);

// Nothing stands for a file that is not there; it is shown as /dev/null. Empty if there is no difference.
std::string unified_diff(const std::string& path, const std::optional<std::string>& before,
                         const std::optional<std::string>& after);

} // namespace pvegpu
