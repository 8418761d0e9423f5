// What the hook does when a guest has started, is about to stop, and has stopped.
#pragma once

#include "hook/report.hpp"
#include "machine/system.hpp"
#include "proxmox/request.hpp"

namespace pvegpu {

// Every phase. Each failure is in the report, none is thrown.
Report run_phase(System& system, const Request& request);

} // namespace pvegpu
