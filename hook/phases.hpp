// What the hook does when a guest has started, is about to stop, and has stopped.
#pragma once

#include "report.hpp"
#include "request.hpp"
#include "system.hpp"

namespace pvegpu {

// Every phase. Each failure is in the report, none is thrown.
Report run_phase(System& system, const Request& request);

} // namespace pvegpu
