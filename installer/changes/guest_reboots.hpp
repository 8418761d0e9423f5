// Our monitor in a VM's `args`, by which the guest's own reboots are heard of. Pure.
#pragma once

#include "changes/install_plan.hpp"
#include "host/survey.hpp"

#include <optional>
#include <string>

namespace pvegpu {

// The guest has something of ours: the hook, or the monitor.
bool is_ours(const SurveyedGuest& guest);

// `qm set` of the guest's `args` for its next start; nothing where they are so already.
std::optional<Change> monitor_change(const SurveyedGuest& guest, const std::string& args, std::string reason);

// Appends to the plan what makes it so, and what there is to say. What else stands in `args` stays as it is,
// and an administrator's 'reboot: 0' is kept.
void plan_guest_reboots(const Survey& survey, const SurveyedGuest& guest, GuestReboot wish,
                        InstallPlan& plan);

} // namespace pvegpu
