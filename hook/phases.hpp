// What the hook does before a guest starts, when it has started, is about to stop, and has stopped.
#pragma once

#include "machine/system.hpp"
#include "proxmox/request.hpp"

namespace pvegpu {

struct PhasePlan; // hook/report.hpp
struct Report;
struct VmFile; // proxmox/guest_files.hpp

// What a phase would do. What cannot be planned is a plan that is refused; none is thrown.
PhasePlan plan_phase(const SysReader& reader, const Request& request);

// Every phase, with the guest's other hookscript. Each failure is in the report, none is thrown.
Report run_phase(System& system, const Request& request);

// The same without that hookscript, and leaves no report behind: 'pve-gpu-install try'.
Report run_own_part(System& system, const Request& request);

// The recovery before the start of a VM that is none of Proxmox's: nothing of /etc/pve is asked for it. Each
// failure is in the plan or the report, none is thrown.
PhasePlan plan_for_instance(const SysReader& reader, const Request& request, const VmFile& vm);
Report recover_for_instance(System& system, const Request& request, const VmFile& vm);

// Where 'status' finds it. What goes wrong is said.
void save_report(System& system, const Report& report);

} // namespace pvegpu
