// What a VM of Incus or LXD is given, and how that is taken back. Pure.
#pragma once

#include "changes/install_plan.hpp"
#include "changes/manifest.hpp"
#include "host/survey.hpp"

namespace pvegpu {

// Appends what gives the VM all of its GPU's card, by address, and keeps it from being started at boot
// without a recovery: what starts there is 'pve-gpu-incus@NAME.service', where it would have started by
// itself. Throws Error where that cannot be.
void plan_instance(const Survey& survey, const SurveyedGuest& guest, bool host_only, InstallPlan& plan);

struct InstanceRemoval {
    std::vector<Change> changes;
    std::vector<Advice> warnings;
};
enum class IfItRuns { refuse, keep_devices };
// The VM as it was; what somebody has changed since stays. Devices cannot be taken from a VM that runs:
// Error(in_use), or they stay in it and the rest is undone.
InstanceRemoval plan_instance_removal(const Survey& survey, const SurveyedGuest& guest,
                                      const AttachedInstance& attached, IfItRuns if_it_runs);

} // namespace pvegpu
