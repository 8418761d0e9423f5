// What the installer says besides its changes. Pure.
#pragma once

#include "changes/install_plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

std::vector<std::string> install_notes(const Survey& survey, const InstallRequest& request);
std::vector<Advice> install_warnings(const Survey& survey, const InstallRequest& request,
                                     const InstallPlan& plan);

// Of a guest that is attached in a cluster: where it can no longer start. Nothing on a single host.
std::optional<Advice> cluster_warning(const Survey& survey, const Attachment& attachment);

} // namespace pvegpu
