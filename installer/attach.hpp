// Our hook as a guest's hookscript. Pure.
#pragma once

#include "install_plan.hpp"
#include "survey.hpp"

namespace pvegpu {

// Appends to the plan what makes our hook the container's hookscript: the link below a storage's snippets,
// the note of the hookscript that it had, and the `pct set`. Nothing if it is attached already. Throws Error.
void attach_container(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan);

} // namespace pvegpu
