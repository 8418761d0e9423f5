// Whether the host has booted since its files were written.
#include "check/findings.hpp"
#include "host/reboot.hpp"

namespace pvegpu {
namespace {

Findings host_reboot(const CheckFacts& facts)
{
    constexpr bool changes_nothing = false;
    Findings findings;
    for (const auto& reason : reboot_reasons(facts.survey, changes_nothing))
        findings.push_back({Verdict::warning, reason, by_command("reboot")});
    if (facts.survey.functions.empty()) return {};
    return or_ok(findings, std::string(paths::boot_files_changed) + " is absent, or nothing waits for it");
}

} // namespace

std::vector<Check> reboot_checks()
{
    return {{"host.reboot", "no reboot is outstanding",
             "whether the host has booted since its files were written",
             "until then the host's drivers take the card first, whoever has it now", host_reboot}};
}

} // namespace pvegpu
