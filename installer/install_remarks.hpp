// What the installer says besides its changes. Pure.
#pragma once

#include "install_plan.hpp"

#include <string>
#include <vector>

namespace pvegpu {

std::vector<std::string> install_notes(const Survey& survey, const InstallRequest& request);
std::vector<std::string> install_warnings(const Survey& survey, const InstallRequest& request,
                                          const InstallPlan& plan);

} // namespace pvegpu
