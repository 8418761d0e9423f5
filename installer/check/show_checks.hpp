// Findings for people and for programs. Pure.
#pragma once

#include "base/json.hpp"
#include "check/check.hpp"
#include "check/screen.hpp"
#include "pci/device_names.hpp"

#include <string>

namespace pvegpu {

struct Survey; // host/survey.hpp

// Worst first, in groups; what sums up comes last, with the first thing to do.
std::string print_findings(const Findings& findings, const DeviceNames& names, const Screen& screen = {});

// "pve-gpu-hook/check/1"
Json findings_json(const Findings& findings, const DeviceNames& names, const Survey& survey);

// "Intel Arc A310, 0000:03:00.0", "VM 101"
std::string subject_text(const Finding& finding, const DeviceNames& names);

// The command and the words in one text.
std::string remedy_text(const Remedy& remedy);

// "1 error, 2 warnings, 1 unknown, 3 notes, 41 ok"
std::string summary(const Findings& findings);
std::string counted_verdicts(std::size_t number, Verdict verdict); // "1 error", "2 warnings", "3 unknown"

// docs/checks.md: every check and every known message, in the order of the table.
std::string checks_list();
Json checks_json(); // "pve-gpu-hook/checks/1": the same

} // namespace pvegpu
