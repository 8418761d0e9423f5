// The host itself: Proxmox's own files; what its kernel is told, forbids, and is stuck in; its processor.
#include "check/findings.hpp"

namespace pvegpu {
namespace {

Findings pve_cluster_fs(const CheckFacts& facts)
{
    if (facts.pve_problem.empty() && !facts.host.is_proxmox()) return {};
    if (facts.pve_problem.empty()) return {{Verdict::ok, std::string(paths::pve) + " answers"}};
    return {{Verdict::error, facts.pve_problem, by_command("systemctl status pve-cluster corosync")}};
}

// What fatal tokens do is in their text.
Finding harm_of(const TokenRemark& remark)
{
    const auto evidence = std::string(paths::kernel_command_line) + " has " + quote(remark.token) + ": it " +
                          std::string(remark.text);
    switch (remark.harm) {
    case TokenRemark::Harm::fatal:
        return {Verdict::error, evidence, {}, "without an IOMMU no device can be passed to a guest"};
    case TokenRemark::Harm::harmful:
        return {Verdict::warning, evidence, {}, "it breaks devices, or opens the host to its guests"};
    case TokenRemark::Harm::useless:
        break;
    }
    return {Verdict::note, evidence, {}, "it does nothing, and hides the cause of trouble"};
}

Findings command_line_harmful(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& remark : command_line_remarks(facts.host.running)) {
        findings.push_back(harm_of(remark));
        findings.back().remedy.words =
            std::string(remark.remedy) + ", in " + where_the_command_line_is(facts) + "; reboot";
    }
    return or_ok(findings, std::string(paths::kernel_command_line) + " has nothing useless or harmful");
}

// A card that can neither reset itself nor be reset from its port by the kernel.
bool needs_config_writes(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto* port = gpu.card.port ? facts.topology.find(*gpu.card.port) : nullptr;
    return gpu.passed() && port != nullptr && !port->has_reset_subordinate &&
           !resets_itself(facts.function(gpu));
}

// Under lockdown sysfs refuses writes to configuration space, so an older kernel offers no way to a reset of
// a card that cannot do it itself.
Findings kernel_lockdown(const CheckFacts& facts)
{
    const std::string file(paths::kernel_lockdown);
    if (!facts.host.lockdown)
        return {{Verdict::unknown, file + " cannot be read",
                 by_command("mount -t securityfs none /sys/kernel/security; mokutil --sb-state")}};
    const auto state = file + " says " + (*facts.host.lockdown ? "locked down" : "not locked down") +
                       (facts.host.secure_boot ? ", Secure Boot is on" : "");
    if (!*facts.host.lockdown) return {{Verdict::ok, state}};
    if (std::ranges::none_of(facts.gpus, [&](const auto& gpu) { return needs_config_writes(facts, gpu); }))
        return {{Verdict::note,
                 state + ": modules that are not signed (vendor-reset, nvidia) do not load",
                 {"where a module has to be signed, 'mokutil --import' takes its key"},
                 "a locked kernel loads signed modules only; the resets of these cards do not suffer"}};
    return {{Verdict::warning,
             state + ", and this kernel has no 'reset_subordinate': a card cannot be reset from its port",
             {"install a kernel of 6.14 or later, or turn Secure Boot off in the firmware's setup"}}};
}

Findings kernel_stuck(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& writer : facts.writers) {
        const auto evidence = paths::process(writer.pid, "stack") + ": " + quote(writer.program) + " (pid " +
                              std::to_string(writer.pid) + ") is in " + quote(writer.where) +
                              " of the kernel's PCI code";
        if (writer.stuck)
            findings.push_back(
                {Verdict::error,
                 evidence,
                 {"shut down the VM that has the device; if that does not free it, reboot the host"}});
        else
            findings.push_back({Verdict::note,
                                evidence,
                                {"wait, and look again"},
                                "until it is done no other device can be added, removed or rescanned"});
    }
    return or_ok(findings, "/proc/*/stack: no task is inside the kernel's PCI code");
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
    if (!slow) return {{Verdict::ok, evidence}};
    return {
        {Verdict::note, evidence,
         by_command("echo performance | tee " + paths::join(paths::cpus, "cpu*/cpufreq/scaling_governor"))}};
}

} // namespace

std::vector<Check> pve_checks()
{
    return {{"pve.cluster-fs", "Proxmox's files answer", "whether /etc/pve answers",
             "without it no guest can start, and none can be looked at here", pve_cluster_fs}};
}

std::vector<Check> host_checks()
{
    return {
        {"command-line.harmful", "the kernel's command line does no harm",
         "/proc/cmdline: parameters that do nothing, or harm",
         "a useless one hides the cause of trouble; a harmful one breaks devices, or opens the host to its "
         "guests",
         command_line_harmful},
        {"kernel.lockdown", "the kernel allows what a reset needs",
         "Secure Boot and lockdown against the ways to reset a card",
         "a locked kernel forbids writing configuration space, which older kernels need for a reset",
         kernel_lockdown},
        {"kernel.stuck", "nothing blocks the kernel's PCI code", "tasks inside the kernel's PCI code",
         "while one is stuck no device of the host can be added, removed or rescanned", kernel_stuck},
        {"cpu.governor", "the processor is not kept slow", "the first processor's frequency governor",
         "a guest with a GPU stutters on processors that stay at their lowest frequency", cpu_governor},
    };
}

} // namespace pvegpu
