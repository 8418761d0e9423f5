// The IOMMU: whether there is one, what it does with interrupts, what the kernel must be told for it.
#include "check/iommu_checks.hpp"

#include "base/lists.hpp"
#include "check/findings.hpp"
#include "host/reboot.hpp"

namespace pvegpu {
namespace {

constexpr std::string_view why_enabled = "without an IOMMU no device can be passed to a guest";
constexpr std::string_view why_remapping =
    "without interrupt remapping a guest could raise any interrupt of the host, so vfio refuses";

// What the kernel is told at its next boot: the administrator's words, and ours.
bool next_boot_has(const Survey& survey, const std::string& token)
{
    return has_token(survey.configured, token) ||
           has_token(parse_grub_defaults(survey.file(paths::grub_drop_in).value_or("")), token);
}

// `fix` adds what the kernel's command line lacks.
Finding iommu_enabled(const HostFacts& host, const Remedy& fix)
{
    const std::string directory(paths::iommus);
    if (host.iommu_on) return {Verdict::ok, directory + " has an IOMMU"};
    const auto turn_on = "turn on " + firmware_switch(host.cpu) + " in the firmware's setup";
    if (contains(missing_tokens(needed_tokens(host.cpu, host.kernel), host.running), "intel_iommu=on"))
        return {
            Verdict::error,
            directory + " is empty, and this kernel needs 'intel_iommu=on' for it",
            {fix.words + (fix.words.empty() ? "" : "; and ") + turn_on, fix.install_does_it, fix.command}};
    return {Verdict::error, directory + " is empty", {turn_on}};
}

Finding iommu_interrupt_remapping(const HostFacts& host)
{
    const auto chips = paths::join(paths::interrupts, "*/chip_name");
    if (!host.interrupt_remapping)
        return {Verdict::unknown, chips + " names no interrupt controller that we know",
                by_command("journalctl -k | grep -i remapping")};
    if (*host.interrupt_remapping) return {Verdict::ok, chips + " has remapped ('IR-') interrupts"};
    return {
        Verdict::error,
        chips + " has no remapped ('IR-') interrupts",
        {"turn on " + firmware_switch(host.cpu) +
         " and 'x2APIC' in the firmware's setup, remove 'intremap=off' and 'nointremap' from the kernel's "
         "command line, update the firmware"}};
}

Findings iommu_unsafe_interrupts(const CheckFacts& facts)
{
    const std::string path(paths::unsafe_interrupts);
    if (!facts.unsafe_interrupts) return {}; // the module is not loaded: nobody is allowed anything
    if (!*facts.unsafe_interrupts) return {{Verdict::ok, path + " is N"}};
    return {{Verdict::warning,
             path + " is Y",
             {"remove 'allow_unsafe_interrupts=1' from " + std::string(paths::modprobe_directory) +
              " and the kernel's command line, unless the board has no interrupt remapping and you trust "
              "every guest"}}};
}

Remedy add_token(const CheckFacts& facts, const std::string& token)
{
    const bool written = next_boot_has(facts.survey, token);
    if (written && !reboot_helps(facts.survey, false)) // the boot loader has not got it
        return by_command(facts.host.loader == BootLoader::grub ? "update-grub" : "proxmox-boot-tool refresh",
                          "then reboot: it is written already, and the boot loader has not got it");
    return prepare(facts, written, prepare_host(facts), "then reboot");
}

Findings command_line_missing(const CheckFacts& facts)
{
    const std::string file(paths::kernel_command_line);
    Findings findings;
    for (const auto& token :
         missing_tokens(needed_tokens(facts.host.cpu, facts.host.kernel), facts.host.running)) {
        const bool written = next_boot_has(facts.survey, token);
        Finding finding{Verdict::warning, file + " has no " + quote(token), add_token(facts, token)};
        if (token == faster_only) {
            finding.verdict = Verdict::note;
            finding.remedy = written
                                 ? Remedy{"nothing: it is written, and counts from the next boot on"}
                                 : by_command(prepare_host(facts),
                                              "it counts from the next boot on; nothing waits for it", true);
            finding.why = "it makes DMA of the host's own devices faster; no guest needs it";
        }
        findings.push_back(std::move(finding));
    }
    return or_ok(findings, file + " has what is needed");
}

} // namespace

std::vector<Advice> iommu_warnings(const HostFacts& host)
{
    std::vector<Advice> warnings;
    const auto warn = [&](const Finding& finding, std::string_view why) {
        if (finding.verdict == Verdict::error && !finding.remedy.install_does_it)
            warnings.push_back({finding.evidence + ": " + std::string(why), finding.remedy.words});
    };
    warn(iommu_enabled(host, {"", true}), why_enabled);
    if (host.iommu_on) warn(iommu_interrupt_remapping(host), why_remapping); // else there is nothing to remap
    return warnings;
}

std::string firmware_switch(CpuVendor cpu)
{
    constexpr const char* intel = "'VT-d'";
    constexpr const char* amd = "'IOMMU' ('AMD-Vi', under 'AMD CBS' or 'NBIO') and 'SVM'";
    if (cpu == CpuVendor::intel) return intel;
    return cpu == CpuVendor::amd ? amd : std::string(intel) + " (Intel) or " + amd + " (AMD)";
}

std::vector<Check> iommu_checks()
{
    return {
        {"iommu.enabled", "the IOMMU is on", "/sys/class/iommu", why_enabled,
         [](const CheckFacts& facts) {
             return Findings{iommu_enabled(facts.host, add_token(facts, "intel_iommu=on"))};
         }},
        {"iommu.interrupt-remapping", "interrupts are remapped", "/sys/kernel/irq/*/chip_name", why_remapping,
         [](const CheckFacts& facts) { return Findings{iommu_interrupt_remapping(facts.host)}; }},
        {"iommu.unsafe-interrupts", "guests cannot raise the host's interrupts",
         "the parameter allow_unsafe_interrupts of vfio_iommu_type1",
         "a guest with a device can then attack the host through its interrupts", iommu_unsafe_interrupts},
        {"command-line.missing", "the kernel's command line has what the IOMMU needs",
         "/proc/cmdline against what this processor and kernel need",
         "Intel's IOMMU is off without it before Linux 6.8", command_line_missing},
    };
}

} // namespace pvegpu
