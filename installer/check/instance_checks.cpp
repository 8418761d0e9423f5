// VMs of Incus and LXD: what is missing of their cards, and how they are started.
#include "check/findings.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

namespace pvegpu {
namespace {

// Those that are given PCI devices.
template <auto look> Findings each_instance(const CheckFacts& facts)
{
    return about_each<look>(facts, facts.survey.guests, [](const SurveyedGuest& guest) {
        return guest.id.is_instance() && (!guest.config.hostpci.empty() || guest.attached);
    });
}

Findings daemon_answers(const CheckFacts& facts)
{
    Findings findings;
    if (const auto& problem = facts.survey.daemon_problem)
        findings.push_back({Verdict::error, problem->fact, {problem->remedy}});
    for (const auto& name : facts.survey.silent)
        findings.push_back({Verdict::error,
                            "VM " + quote(name) + " cannot be looked at: its QEMU does not answer",
                            {"see whether it is stopped or stuck in the kernel ('ps', state T or D)"}});
    if (facts.survey.daemons.empty() && findings.empty()) return {};
    return or_ok(findings, join(facts.survey.daemons, ", ") + " answers");
}

Findings instance_devices(const CheckFacts& facts, const SurveyedGuest& guest)
{
    Findings findings;
    const auto& conf = guest.config_path();
    if (guest.problem)
        findings.push_back({Verdict::error,
                            "'" + conf + "': " + guest.problem->fact,
                            {guest.problem->remedy},
                            "it does not start"});
    for (const auto& missing : guest.missing)
        findings.push_back({missing.on_card ? Verdict::warning : Verdict::error,
                            "'" + conf + "' does not name " + named(facts.names, missing.facts) +
                                (missing.on_card ? ", which is on the card"
                                                 : ", which shares an IOMMU group with its devices") +
                                (missing.used_by.empty() ? "" : ", in use by " + missing.used_by),
                            by_command(guest.id.install_command(), "with the VM stopped", true)});
    return or_ok(findings, "'" + conf + "' names all of the card and of its IOMMU groups");
}

Findings instance_start(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto start = facts.next_starts.find(guest.id.vmid);
    if (start == facts.next_starts.end() || guest.problem) return {};
    const auto& refused = start->second;
    if (!refused) return {{Verdict::ok, "'" + guest.id.start_command() + " --dry-run' refuses nothing"}};
    return {{Verdict::error, refused->advice.fact, {refused->advice.remedy}}};
}

Findings instance_taken(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& taken : facts.taken) {
        const Guest guest{number_of(taken.name), GuestKind::instance, taken.name.text()};
        add_about(
            findings, {guest.name(), {guest.vmid}},
            Finding{Verdict::error,
                    paths::taken_devices_of(guest.vmid) + ": a start is at work, or was killed half-way",
                    by_command(guest.start_command(), "puts them back first")});
    }
    return findings;
}

bool says_no(const std::string& autostart)
{
    return autostart == "false" || autostart == "0" || autostart == "no" || autostart == "off";
}

Finding instance_autostart(const SurveyedGuest& guest)
{
    const auto said = guest.instance->setting("boot.autostart");
    const auto evidence =
        "'" + guest.config_path() + "': boot.autostart is " + (said.empty() ? "not set" : quote(said));
    if (says_no(said)) return {Verdict::ok, evidence};
    return {Verdict::warning, evidence,
            by_command(guest.attached ? guest.instance->command("config set", "boot.autostart=false")
                                      : guest.id.install_command(),
                       "'systemctl enable' of 'pve-gpu-incus@" + guest.id.instance +
                           "' starts it at boot instead",
                       true)};
}

Finding instance_bare_start(const SurveyedGuest& guest)
{
    if (guest.started_bare)
        return {Verdict::warning,
                "it runs, and '" + guest.id.start_command() +
                    "' has not started it, or its guest has rebooted since: its card was not recovered",
                by_command(guest.instance->command("stop") + "; " + guest.id.start_command(),
                           "if the card does not work")};
    if (guest.running) return {Verdict::ok, "'" + guest.id.start_command() + "' has started its QEMU"};
    return {Verdict::note,
            "'" + guest.instance->command("start") + "' and a reboot by the guest itself recover nothing",
            by_command(guest.id.start_command(), "its card is recovered before it starts")};
}

} // namespace

std::vector<Check> instance_checks()
{
    return {
        {"incus.daemon", "Incus or LXD answers", "the sockets of Incus' and LXD's daemons",
         "without it none of its VMs can be looked at, or started", daemon_answers},
        {"incus.devices", "the VM is given all of the card",
         "devices of VMs of Incus and LXD against the card and its IOMMU groups",
         "Incus gives what is named and nothing else: QEMU opens no group of which the host has a part, and "
         "a host "
         "driver on half of the card keeps it busy",
         each_instance<instance_devices>},
        {"incus.start", "nothing keeps the VM from its start",
         "what a start of a VM of Incus or LXD would be refused for", "the start is refused",
         each_instance<instance_start>},
        {"incus.taken", "no start was killed half-way",
         "devices that a start has taken out of a VM of Incus or LXD",
         "a start of it now would be one without its GPU", instance_taken},
        {"incus.autostart", "the VM is not started at boot without a recovery",
         "boot.autostart of VMs of Incus and LXD with a GPU",
         "Incus starts it at boot with the card as it was left", each_instance<instance_autostart>},
        {"incus.bare-start", "the VM is started by our command", "VMs of Incus and LXD with a GPU",
         "Incus asks nobody before it starts a VM, nor when its guest reboots",
         each_instance<instance_bare_start>},
    };
}

} // namespace pvegpu
