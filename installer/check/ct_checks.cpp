// Containers: the device nodes that they name, on this host and in them.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "containers/node_plan.hpp"
#include "host/container_survey.hpp"
#include "machine/paths.hpp"
#include "usage/device_files.hpp"

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
Fix removal_of(const SurveyedGuest& guest, const WantedNode& wanted, const std::string& otherwise)
{
    if (wanted.by_proxmox)
        return set(guest, "--delete " + wanted.from, "takes the line out; or " + otherwise);
    return {otherwise + "; or take line " + std::to_string(wanted.line) + " out of " + conf_of(guest)};
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
    auto evidence = line_with(guest, wanted) + " names " + quote(wanted.node.path) + what_is_there(node);
    const auto verdict = wanted.optional ? Verdict::warning : Verdict::error;
    if (const auto why = why_missing(wanted, facts.node_host))
        return about_guest(guest, verdict, evidence + why->fact, removal_of(guest, wanted, why->remedy));
    if (!wanted.by_proxmox && guest.attached)
        return about_guest(guest, Verdict::ok, evidence + "; the hook brings it at the next start");
    if (!node.number) evidence += ", and no driver has made it since the host started";
    return about_guest(guest, verdict, evidence,
                       by_command("pve-gpu-hook --nodes", "for every boot: " + install_command(guest), true));
}

Finding refused_line(const SurveyedGuest& guest, const LxcDevice& device)
{
    return about_guest(
        guest, Verdict::error,
        conf_of(guest) + ":" + std::to_string(device.line) + ": '" + device.key + ": " +
            printable(device.value) + "': " + *device.start_error,
        set(guest, "--delete " + device.key, "takes the line out; or write the path of a device into it"));
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
                           by_command("pct exec " + std::to_string(guest.vmid) + " -- ls -l /dev /dev/dri"));
    const auto reasons = restart_reasons(container.inside);
    if (reasons.empty())
        return about_guest(guest, Verdict::ok, dev + " has what " + conf_of(guest) + " names");
    return about_guest(guest, Verdict::warning, dev + ": " + join(reasons, "; "),
                       by_command("pct reboot " + std::to_string(guest.vmid)));
}

Finding sharing_of(const CardFacts& card, const SurveyedGuest& guest, const WantedNode& wanted)
{
    auto finding =
        about_card(card, Verdict::warning,
                   line_with(guest, wanted) + " names " + quote(wanted.node.path) +
                       " of this card, which the 'hostpci' lines of VM " + vm_of(card) + " name too",
                   removal_of(guest, wanted, "give the VM another card"));
    finding.guests.push_back(guest.vmid);
    return finding;
}

bool may_be_of(const Function& gpu, const GpuNode& node)
{
    constexpr std::uint16_t nvidia = 0x10de, amd = 0x1002;
    if (node.address) return *node.address == gpu.address;
    if (node.is_nvidia()) return gpu.vendor == nvidia;
    return node.kind != NodeKind::kfd || gpu.vendor == amd;
}

// On vfio-pci nothing tells which nodes its driver would make.
Finding sharing_unknown(const CardFacts& card, const SurveyedGuest& guest, const WantedNode& wanted)
{
    auto finding = about_card(card, Verdict::unknown,
                              line_with(guest, wanted) + " names " + quote(wanted.node.path) +
                                  ", which is not there; it may be this card's, which vfio-pci has",
                              {"name it by its place, which no other card can have: /dev/dri/by-path/pci-" +
                               to_string(card.gpu) + "-render; or see 'ct.nodes'"});
    finding.guests.push_back(guest.vmid);
    return finding;
}

Findings sharing_with(const CheckFacts& facts, const CardFacts& card, const CardNodes& nodes,
                      const ContainerFacts& container)
{
    const auto& guest = guest_of(facts, container);
    const auto& gpu = facts.gpu(card);
    if (const auto wanted = wanted_node_of(guest, nodes)) return {sharing_of(card, guest, *wanted)};
    if (!is_vfio_driver(gpu.driver)) return {};
    for (const auto& node : container.nodes)
        if (!node.present && may_be_of(gpu, node.wanted.node))
            return {sharing_unknown(card, guest, node.wanted)};
    return {};
}

bool says(const LxcDevice& device, std::string_view key)
{
    const auto parts = split(device.value, ',');
    return std::any_of(parts.begin(), parts.end(), [&](auto part) { return part.starts_with(key); });
}

// Proxmox then makes it 0660 and root's (create_passthrough_device_node in pve-container's LXC.pm).
bool is_for_root_only(const LxcDevice& device)
{
    return !device.start_error && parse_gpu_node(device.path) && !says(device, "mode=") &&
           !says(device, "gid=") && !says(device, "uid=");
}

Finding for_root_only(const SurveyedGuest& guest, const LxcDevice& device)
{
    return about_guest(guest, Verdict::note,
                       conf_of(guest) + ":" + std::to_string(device.line) + ": '" + device.key + ": " +
                           printable(device.value) + "' has no 'mode' and no 'gid'",
                       set(guest, "--" + device.key + " '" + device.value + ",mode=0666'",
                           "or 'gid=' with the number that the container's group 'render' or 'video' has"));
}

std::string versions_of(const Inside& inside)
{
    return "'" + join(inside.library_versions, "', '") + "'";
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
        for (const auto& warning : guest.lxc.warnings)
            findings.push_back(about_guest(guest, Verdict::note, to_string(warning.in(conf_of(guest))),
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
            add_ok(findings, before, guest,
                   std::string(paths::dev) + " has every node that " + conf_of(guest) + " names");
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
        findings.push_back(facts.survey.links.contains(link)
                               ? about_guest(guest, Verdict::ok, link + " is there")
                               : about_guest(guest, Verdict::warning, link + " is absent",
                                             by_command(install_command(guest), "", true)));
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
                   std::string(paths::proc_devices) + " has the numbers that " + conf_of(guest) + " allows");
    }
    return findings;
}

// Who in the container may open what it is given.
Findings ct_rights(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& container : facts.containers) {
        const auto& guest = guest_of(facts, container);
        const auto before = findings.size();
        for (const auto& [found, remedy] : foreign_nodes(guest.lxc, container.nodes))
            findings.push_back(about_guest(guest, Verdict::warning, conf_of(guest) + ": " + found, {remedy}));
        for (const auto& device : guest.lxc.devices_at_next_start())
            if (is_for_root_only(device)) findings.push_back(for_root_only(guest, device));
        if (!container.nodes.empty())
            add_ok(findings, before, guest, conf_of(guest) + " names no node that only root could open");
    }
    return findings;
}

// The libraries of a running container that is given a node of NVIDIA's.
Findings ct_library(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& container : facts.containers) {
        const auto& versions = container.inside.library_versions;
        if (versions.empty() || facts.nvidia_version.empty()) continue;
        const auto& guest = guest_of(facts, container);
        const auto evidence = std::string(paths::nvidia_module_version) + " is " +
                              quote(facts.nvidia_version) + ", and the container has libraries of " +
                              versions_of(container.inside);
        const bool same = std::find(versions.begin(), versions.end(), facts.nvidia_version) != versions.end();
        findings.push_back(same ? about_guest(guest, Verdict::ok, evidence)
                                : about_guest(guest, Verdict::warning, evidence,
                                              {"install version " + facts.nvidia_version +
                                               " in the container, without its kernel module"}));
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
            for (auto& finding : sharing_with(facts, *card, nodes, container))
                findings.push_back(std::move(finding));
        if (findings.size() == before && !facts.containers.empty())
            findings.push_back(
                about_card(*card, Verdict::ok,
                           std::string(paths::pve_ct_configs) + " has no container that names its nodes"));
    }
    return findings;
}

} // namespace pvegpu
