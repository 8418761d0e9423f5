// Containers: the device nodes that they name, on this host and in them.
#include "check_families.hpp"
#include "ct_plan.hpp"
#include "ct_survey.hpp"
#include "opinions.hpp"
#include "paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

const SurveyedGuest& guest_of(const CheckFacts& facts, const ContainerFacts& container)
{
    return *facts.survey.find(container.vmid); // it is made of it
}

// "/etc/pve/lxc/901.conf:3 (dev0)"
std::string line_with(const SurveyedGuest& guest, const WantedNode& wanted)
{
    return conf_of(guest) + ":" + std::to_string(wanted.line) + " (" + wanted.from + ")";
}

// Takes the line out again: Proxmox knows devN only, the others are edited by hand.
std::string removal_of(const SurveyedGuest& guest, const WantedNode& wanted)
{
    if (wanted.by_proxmox) return set_command(guest, "--delete " + wanted.from);
    return "take line " + std::to_string(wanted.line) + " out of " + conf_of(guest);
}

// "FACT; WHAT TO DO", as the hook says it.
Fix split_off_remedy(std::string& sentence)
{
    const auto at = sentence.rfind("; ");
    if (at == std::string::npos) return {};
    Fix fix{sentence.substr(at + 2)};
    sentence.resize(at);
    return fix;
}

// What the hook would do for this one node.
Plan plan_for(const CheckFacts& facts, const ContainerFacts& container, const NodeFacts& node)
{
    auto host = facts.node_host;
    host.nodes = {node};
    return make_container_plan({container.vmid, Phase::pre_start, ""}, LxcConfig(), host, Settings());
}

std::string what_is_there(const NodeFacts& node)
{
    if (!node.number) return ", which is not on this host";
    return ", which has the number " + std::to_string(node.number->major) + ":" +
           std::to_string(node.number->minor) + ", and no driver of this boot is behind it";
}

// A devN is looked at by Proxmox before any hook runs (PVE::LXC::Tools), a mount by LXC after the hook's
// pre-start.
Finding missing_of(const CheckFacts& facts, const ContainerFacts& container, const NodeFacts& node)
{
    const auto& guest = guest_of(facts, container);
    const auto& wanted = node.wanted;
    const auto plan = plan_for(facts, container, node);
    auto evidence = line_with(guest, wanted) + " names " + quote(wanted.node.path) + what_is_there(node);
    const auto verdict = wanted.optional ? Verdict::warning : Verdict::error;
    auto reason = plan.refused ? plan.refused->detail : plan.warnings.empty() ? "" : plan.warnings.front();
    if (!reason.empty()) {
        auto fix = split_off_remedy(reason);
        reason.erase(0, reason.find(" there") + std::string(" there").size()); // it begins with the node
        fix.text += "; or: " + removal_of(guest, wanted);
        return about_guest(guest, verdict, evidence + reason, fix);
    }
    if (!wanted.by_proxmox && guest.attached)
        return about_guest(guest, Verdict::ok, evidence + "; the hook brings it at the next start");
    if (!node.number) evidence += ", and no driver has made it since the host started";
    return about_guest(guest, verdict, evidence,
                       {"pve-gpu-hook --nodes; for every boot: " + install_command(guest), true});
}

Finding refused_line(const SurveyedGuest& guest, const LxcDevice& device)
{
    return about_guest(guest, Verdict::error,
                       conf_of(guest) + ":" + std::to_string(device.line) + ": '" + device.key + ": " +
                           printable(device.value) + "': " + *device.start_error,
                       {set_command(guest, "--" + device.key + " /dev/PATH") +
                        "; or: " + set_command(guest, "--delete " + device.key)});
}

void add_ok(Findings& findings, std::size_t before, const SurveyedGuest& guest, const std::string& evidence)
{
    if (findings.size() == before) findings.push_back(about_guest(guest, Verdict::ok, evidence));
}

bool made_by_nvidia(const ContainerFacts& container)
{
    return std::any_of(container.nodes.begin(), container.nodes.end(),
                       [](const auto& one) { return one.wanted.by_proxmox && one.wanted.node.is_nvidia(); });
}

Finding restart_of(const SurveyedGuest& guest, const ContainerFacts& container)
{
    const auto dev = "/dev in container " + std::to_string(guest.vmid);
    if (!container.inside.seen)
        return about_guest(guest, Verdict::unknown, dev + " cannot be looked at in time",
                           {"pct exec " + std::to_string(guest.vmid) + " -- ls -l /dev /dev/dri"});
    const auto reasons = restart_reasons(container.inside);
    if (reasons.empty())
        return about_guest(guest, Verdict::ok, dev + " has what " + conf_of(guest) + " names");
    return about_guest(guest, Verdict::warning, dev + ": " + join(reasons, "; "),
                       {"pct reboot " + std::to_string(guest.vmid)});
}

Finding sharing_of(const CardFacts& card, const SurveyedGuest& guest, const WantedNode& wanted)
{
    auto finding =
        about_card(card, Verdict::warning,
                   line_with(guest, wanted) + " names " + quote(wanted.node.path) +
                       " of this card, which the 'hostpci' lines of VM " + vm_of(card) + " name too",
                   {removal_of(guest, wanted) + "; or give the VM another card"});
    finding.guests.push_back(guest.vmid);
    return finding;
}

} // namespace

Findings ct_config(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& container : facts.containers) {
        const auto& guest = guest_of(facts, container);
        const auto before = findings.size();
        for (const auto& device : guest.lxc.devices_at_next_start())
            if (device.start_error) findings.push_back(refused_line(guest, device));
        for (const auto& [line, text] : guest.lxc.warnings)
            findings.push_back(about_guest(guest, Verdict::note,
                                           conf_of(guest) + ":" + std::to_string(line) + ": " + text,
                                           {"correct the line in " + conf_of(guest)}));
        add_ok(findings, before, guest, conf_of(guest) + " has no line that Proxmox refuses");
    }
    return findings;
}

Findings ct_nodes(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& container : facts.containers) {
        const auto before = findings.size();
        for (const auto& node : container.nodes)
            if (!node.present) findings.push_back(missing_of(facts, container, node));
        const auto& guest = guest_of(facts, container);
        if (!container.nodes.empty())
            add_ok(findings, before, guest, "/dev has every node that " + conf_of(guest) + " names");
    }
    return findings;
}

// devtmpfs makes the nodes of /dev/dri itself; NVIDIA's are made by programs.
Findings ct_boot_unit(const CheckFacts& facts)
{
    const std::string link(paths::nodes_unit_enabled);
    Findings findings;
    for (const auto& container : facts.containers) {
        if (!made_by_nvidia(container)) continue;
        const auto& guest = guest_of(facts, container);
        findings.push_back(
            facts.survey.links.contains(link)
                ? about_guest(guest, Verdict::ok, link + " is there")
                : about_guest(guest, Verdict::warning, link + " is absent", {install_command(guest), true}));
    }
    return findings;
}

Findings ct_numbers(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& container : facts.containers) {
        const auto& guest = guest_of(facts, container);
        const auto before = findings.size();
        for (const auto& [found, remedy] : stale_numbers(guest.lxc, container.nodes, facts.node_host.majors))
            findings.push_back(about_guest(guest, Verdict::warning, conf_of(guest) + ": " + found, {remedy}));
        if (!guest.lxc.mounts.empty())
            add_ok(findings, before, guest,
                   "/proc/devices has the numbers that " + conf_of(guest) + " allows");
    }
    return findings;
}

Findings ct_restart(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& container : facts.containers)
        if (container.running && !container.nodes.empty())
            findings.push_back(restart_of(guest_of(facts, container), container));
    return findings;
}

Findings ct_shared_card(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& nodes : facts.card_nodes) {
        const auto* card = facts.card_with(nodes.function);
        const auto before = findings.size();
        for (const auto& container : facts.containers)
            if (const auto wanted = wanted_node_of(guest_of(facts, container), nodes))
                findings.push_back(sharing_of(*card, guest_of(facts, container), *wanted));
        if (findings.size() == before && !facts.containers.empty())
            findings.push_back(
                about_card(*card, Verdict::ok,
                           std::string(paths::pve_ct_configs) + " has no container that names its nodes"));
    }
    return findings;
}

} // namespace pvegpu
