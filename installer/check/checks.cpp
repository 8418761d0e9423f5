// The table of checks, put together from its topics. docs/checks.md is printed from it.
#include "base/lists.hpp"
#include "check/findings.hpp"

#include <utility>

namespace pvegpu {

std::vector<Check> all_checks()
{
    std::vector<Check> all;
    for (auto* const topic :
         {pve_checks, iommu_checks, host_checks, reboot_checks, driver_checks, card_checks, bar_checks,
          group_checks, nvidia_checks, guest_checks, guest_hardware_checks, guest_option_checks,
          own_reboot_checks, template_checks, instance_checks, container_checks, log_checks})
        append(all, topic());
    return all;
}

Findings run_checks(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& check : all_checks())
        for (auto& finding : check.look(facts)) {
            if (finding.name.empty()) finding.name = check.name;
            if (finding.title.empty()) finding.title = check.title;
            if (finding.why.empty()) finding.why = check.why;
            findings.push_back(std::move(finding));
        }
    // Within a verdict what the kernel has said of a guest's card first: with that somebody came here.
    const auto is_symptom = [](const Finding& finding) {
        return !finding.guests.empty() && finding.name.starts_with("log.");
    };
    std::ranges::stable_sort(findings, [&](const Finding& one, const Finding& other) {
        return std::pair(one.verdict, is_symptom(one)) > std::pair(other.verdict, is_symptom(other));
    });
    return narrowed(findings, facts.asked);
}

Findings narrowed(const Findings& findings, const std::vector<unsigned>& vmids)
{
    Findings kept;
    std::ranges::copy_if(findings, std::back_inserter(kept), [&](const Finding& finding) {
        return vmids.empty() ||
               std::ranges::any_of(vmids, [&](unsigned vmid) { return finding.concerns(vmid); });
    });
    return kept;
}

Verdict worst(const Findings& findings)
{
    return findings.empty() ? Verdict::ok : findings.front().verdict;
}

std::size_t count(const Findings& findings, Verdict verdict)
{
    return static_cast<std::size_t>(std::ranges::count(findings, verdict, &Finding::verdict));
}

} // namespace pvegpu
