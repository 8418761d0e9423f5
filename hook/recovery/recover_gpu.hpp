// THE STORY: what the hook does before a guest starts.
#pragma once

#include "machine/system.hpp"
#include "recovery/plan.hpp"
#include "settings/settings.hpp"

namespace pvegpu {

// One change of the PCI bus at a time on a host. Throws Error(timed_out).
void take_host_lock(System& system, const Settings& settings);

// Puts back what interrupted runs have left: settings at once, the rest when nobody is at work in the
// kernel's PCI core any more, or each undo would be one more task that waits there. Left alone while somebody
// waits for a VM, which the plan then refuses. Call it with the host lock held. Throws Error(stuck_writer,
// stuck_write).
void repair_before_planning(System& system, const Settings& settings);

// What would be done. Takes a reader only, so a dry run cannot change anything. Throws Error.
RecoveryPlan plan_recovery(const SysReader& reader, const Request& request, const VmFile& vm,
                           const SettingsFile& settings);

// Does it. The plan and the steps are filled as it goes, so that they tell of a failure, too. Throws Error.
void recover_gpu(System& system, const Request& request, const VmFile& vm, const SettingsFile& settings,
                 RecoveryPlan& plan, std::vector<StepReport>& steps);

} // namespace pvegpu
