// THE STORY: what the hook does before a guest starts.
#pragma once

#include "hook/report.hpp"
#include "machine/system.hpp"
#include "proxmox/request.hpp"
#include "settings/settings.hpp"

namespace pvegpu {

SettingsFile read_settings(const SysReader& reader);

// One change of the PCI bus at a time on a host. Throws Error(timed_out).
void take_host_lock(System& system, const Settings& settings);

// Puts back what interrupted runs have left: settings at once, the rest when nobody is at work in the
// kernel's PCI core any more, or each undo would be one more task that waits there. Left alone while somebody
// waits for a VM, which the plan then refuses. Call it with the host lock held. Throws Error(stuck_writer,
// stuck_write).
void repair_before_planning(System& system, const Settings& settings);

// What would be done. Takes a reader only, so a dry run cannot change anything.
Plan plan_recovery(const SysReader& reader, const Request& request, const SettingsFile& settings,
                   std::int64_t wall_clock);

// Does it. Every failure is in the report, none is thrown.
Report recover_gpu(System& system, const Request& request);

} // namespace pvegpu
