// The host itself: IOMMU, interrupts, the kernel's command line, what the kernel is stuck in.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

Verdict verdict_of(TokenRemark::Harm harm)
{
    switch (harm) {
    case TokenRemark::Harm::fatal:
        return Verdict::error;
    case TokenRemark::Harm::harmful:
        return Verdict::warning;
    case TokenRemark::Harm::useless:
        break;
    }
    return Verdict::note;
}

const char* firmware_switch(CpuVendor cpu)
{
    return cpu == CpuVendor::amd ? "'IOMMU' ('AMD-Vi', under 'AMD CBS' or 'NBIO') and 'SVM'" : "'VT-d'";
}

bool before_6_8_without_word(const CheckFacts& facts)
{
    return has_token(needed_tokens(facts.host.cpu, facts.host.kernel), "intel_iommu=on") &&
           !has_key(facts.host.running, "intel_iommu");
}

} // namespace

Findings pve_cluster_fs(const CheckFacts& facts)
{
    if (facts.pve_problem.empty()) return {about_host(Verdict::ok, std::string(paths::pve) + " answers")};
    return {
        about_host(Verdict::error, facts.pve_problem, by_command("systemctl status pve-cluster corosync"))};
}

Findings iommu_enabled(const CheckFacts& facts)
{
    if (facts.host.iommu_on) return {about_host(Verdict::ok, std::string(paths::iommus) + " has an IOMMU")};
    if (before_6_8_without_word(facts))
        return {about_host(Verdict::error,
                           std::string(paths::iommus) +
                               " is empty, and this kernel needs 'intel_iommu=on' for it",
                           by_command(prepare_host(facts),
                                      "then reboot; and turn on 'VT-d' in the firmware's setup", true))};
    return {
        about_host(Verdict::error, std::string(paths::iommus) + " is empty",
                   {std::string("turn on ") + firmware_switch(facts.host.cpu) + " in the firmware's setup"})};
}

Findings iommu_interrupt_remapping(const CheckFacts& facts)
{
    const auto chips = paths::join(paths::interrupts, "*/chip_name");
    const auto remaps = facts.host.interrupt_remapping;
    if (!remaps)
        return {about_host(Verdict::unknown, chips + " names no interrupt controller that we know",
                           by_command("journalctl -k | grep -i remapping"))};
    if (*remaps) return {about_host(Verdict::ok, chips + " has remapped ('IR-') interrupts")};
    return {about_host(Verdict::error, chips + " has no remapped ('IR-') interrupts",
                       {std::string("turn on ") + firmware_switch(facts.host.cpu) +
                        " and 'x2APIC' in the firmware's setup, remove 'intremap=off' from the kernel's "
                        "command line, update the firmware"})};
}

Findings iommu_unsafe_interrupts(const CheckFacts& facts)
{
    const auto path = std::string(paths::unsafe_interrupts);
    if (!facts.unsafe_interrupts) return {}; // the module is not loaded: nobody is allowed anything
    if (!*facts.unsafe_interrupts) return {about_host(Verdict::ok, path + " is N")};
    return {about_host(Verdict::warning, path + " is Y",
                       {"remove 'allow_unsafe_interrupts=1' from " + std::string(paths::modprobe_directory) +
                        " and the kernel's command line, "
                        "unless the board has no interrupt remapping and you trust every guest"})};
}

Findings command_line_missing(const CheckFacts& facts)
{
    const auto missing = missing_tokens(needed_tokens(facts.host.cpu, facts.host.kernel), facts.host.running);
    Findings findings;
    for (const auto& token : missing) {
        const bool needed = token != "iommu=pt";
        findings.push_back(about_host(needed ? Verdict::warning : Verdict::note,
                                      std::string(paths::kernel_command_line) + " has no " + quote(token),
                                      by_command(prepare_host(facts), "then reboot", true)));
    }
    if (findings.empty())
        findings.push_back(
            about_host(Verdict::ok, std::string(paths::kernel_command_line) + " has what is needed"));
    return findings;
}

Findings command_line_harmful(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& remark : command_line_remarks(facts.host.running))
        findings.push_back(about_host(
            verdict_of(remark.harm),
            std::string(paths::kernel_command_line) + " has " + quote(remark.token) + ": it " +
                std::string(remark.text),
            {std::string(remark.remedy) + ", in " + where_the_command_line_is(facts) + "; reboot"}));
    if (findings.empty())
        findings.push_back(about_host(Verdict::ok, std::string(paths::kernel_command_line) +
                                                       " has nothing useless or harmful"));
    return findings;
}

// Under lockdown sysfs refuses writes to configuration space, so an older kernel offers no way to a reset of
// a card that cannot do it itself.
Findings kernel_lockdown(const CheckFacts& facts)
{
    bool without = false;
    for (const auto& one : facts.cards)
        if (const auto* port = one.card.port ? facts.topology.find(*one.card.port) : nullptr)
            without =
                without || (one.passed() && !port->has_reset_subordinate && !resets_itself(facts.gpu(one)));
    const auto state = std::string(paths::kernel_lockdown) + " says " +
                       (facts.host.lockdown == true ? "locked down" : "not locked down") +
                       (facts.host.secure_boot ? ", Secure Boot is on" : "");
    if (!facts.host.lockdown)
        return {about_host(Verdict::unknown, std::string(paths::kernel_lockdown) + " cannot be read",
                           by_command("mount -t securityfs none /sys/kernel/security; mokutil --sb-state"))};
    if (!*facts.host.lockdown) return {about_host(Verdict::ok, state)};
    if (!without)
        return {about_host(Verdict::note,
                           state + ": modules that are not signed (vendor-reset, nvidia) do not load",
                           {"where a module has to be signed, 'mokutil --import' takes its key"})};
    return {about_host(
        Verdict::warning,
        state + ", and this kernel has no 'reset_subordinate': a card cannot be reset from its port",
        {"install a kernel of 6.14 or later, or turn Secure Boot off in the firmware's setup"})};
}

Findings kernel_stuck(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& writer : facts.writers)
        findings.push_back(about_host(
            writer.stuck ? Verdict::error : Verdict::note,
            paths::process(writer.pid, "stack") + ": " + quote(writer.program) + " (pid " +
                std::to_string(writer.pid) + ") is in " + quote(writer.where) + " of the kernel's PCI code",
            {writer.stuck ? "shut down the VM that has the device; if that does not free it, reboot the host"
                          : "wait, and look again"}));
    if (findings.empty())
        findings.push_back(about_host(Verdict::ok, "/proc/*/stack: no task is inside the kernel's PCI code"));
    return findings;
}

// "powersave" of intel_pstate and amd-pstate scales with the load; of the others it is the lowest frequency.
Findings cpu_governor(const CheckFacts& facts)
{
    if (!facts.governor) return {}; // a firmware or hypervisor that does it alone
    const auto driver = facts.frequency_driver.value_or("");
    const bool scales = driver == "intel_pstate" || driver.starts_with("amd-pstate");
    const bool slow = (*facts.governor == "powersave" && !scales) || *facts.governor == "conservative";
    const auto evidence = paths::join(paths::cpus, "cpu0/cpufreq/scaling_governor") + " is " +
                          quote(*facts.governor) + ", driver " + quote(driver);
    if (!slow) return {about_host(Verdict::ok, evidence)};
    return {about_host(
        Verdict::note, evidence,
        by_command("echo performance | tee " + paths::join(paths::cpus, "cpu*/cpufreq/scaling_governor")))};
}

} // namespace pvegpu
