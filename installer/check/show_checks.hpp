// Findings for people and for programs. Pure.
#pragma once

#include "check/check.hpp"

#include <string>

namespace pvegpu {

// Worst first, in groups; a line that sums up comes last.
std::string print_findings(const Findings& findings, bool colours);

// "pve-gpu-hook/check/1"
std::string findings_json(const Findings& findings);

// "1 error, 2 warnings, 1 unknown, 3 notes, 41 ok"
std::string summary(const Findings& findings);

// docs/checks.md: every check and every known message, in the order of the table.
std::string checks_list();

} // namespace pvegpu
