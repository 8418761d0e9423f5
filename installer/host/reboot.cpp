#include "host/reboot.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

std::vector<std::string> missing_for_iommu(const Survey& survey)
{
    const auto& host = survey.host;
    if (host.loader == BootLoader::unknown || host.iommu_on) return {};
    auto missing = missing_tokens(needed_tokens(host.cpu, host.kernel), host.running);
    std::erase(missing, faster_only);
    return missing;
}

} // namespace

std::vector<Unprepared> unprepared(const Survey& survey, bool changed)
{
    std::vector<Unprepared> found;
    if (survey.functions.empty()) return found;
    for (const auto& token : missing_for_iommu(survey))
        found.push_back({"the IOMMU is off: the running kernel was started without " + quote(token), ""});
    for (const auto& function : survey.functions) {
        if (!function.leaves_the_host()) continue;
        const std::string hope = "; after a reboot vfio-pci comes first";
        if (function.driver_can_be_kept_away)
            found.push_back({"the host's driver " + quote(function.facts.driver) + " has " +
                                 named(survey.names, function.facts),
                             hope});
        else if (changed && !function.loaded_first.empty())
            found.push_back({"the host's driver " + quote(function.loaded_first) +
                                 " was loaded before vfio-pci and can take " +
                                 named(survey.names, function.facts) + " again",
                             hope});
    }
    return found;
}

bool reboot_helps(const Survey& survey, bool changes_now)
{
    return changes_now || survey.file(paths::boot_files_changed);
}

std::vector<std::string> reboot_reasons(const Survey& survey, bool changes_now)
{
    std::vector<std::string> reasons;
    if (!reboot_helps(survey, changes_now)) return reasons;
    for (const auto& [what, hope] : unprepared(survey, true)) reasons.push_back(what + hope);
    return reasons;
}

} // namespace pvegpu
