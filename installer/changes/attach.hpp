// Our hook as a guest's hookscript, of VMs and containers alike. Pure.
#pragma once

#include "changes/install_plan.hpp"
#include "host/survey.hpp"

namespace pvegpu {

// Appends to the plan what makes our hook the guest's hookscript: the link below a storage's snippets, the
// note of the hookscript that it had, and the `qm set` or `pct set`. Of a guest that has it already: the
// link, if it is gone. Throws Error.
void attach_guest(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan);

// The link alone, for guests that come from another node. Throws Error.
void link_hook(const Survey& survey, InstallPlan& plan);

// Throws Error(not_found) where a program that the plan runs or links to is not installed.
void check_programs(const Survey& survey, const InstallPlan& plan);

} // namespace pvegpu
