// Containers: the device nodes that they name, on this host and in them.
#include "base/lists.hpp"
#include "check/findings.hpp"
#include "containers/node_plan.hpp"
#include "host/container_survey.hpp"

namespace pvegpu {
namespace {

const SurveyedGuest& guest_of(const CheckFacts& facts, const ContainerFacts& container)
{
    return *facts.survey.find(container.vmid); // it is made of it
}

// "/etc/pve/lxc/901.conf:3 (dev0) names '/dev/nvidia0'"
std::string line_with(const ContainerFacts& container, const WantedNode& wanted)
{
    return container.conf() + ":" + std::to_string(wanted.line) + " (" + wanted.from + ") names " +
           quote(wanted.node.path);
}

// "/etc/pve/lxc/901.conf:3: 'dev0: /dev/nvidia0'"
std::string line_with(const ContainerFacts& container, const LxcDevice& device)
{
    return container.conf() + ":" + std::to_string(device.line) + ": '" + device.key + ": " +
           printable(device.value) + "'";
}

// Takes the line out again: Proxmox knows devN only, the others are edited by hand.
Remedy removal_of(const ContainerFacts& container, const WantedNode& wanted, const std::string& otherwise)
{
    if (wanted.by_proxmox)
        return by_command("pct set " + std::to_string(container.vmid) + " --delete " + wanted.from,
                          "takes the line out; or " + otherwise);
    return {otherwise + "; or take line " + std::to_string(wanted.line) + " out of " + container.conf()};
}

Findings ct_config(const CheckFacts& facts, const ContainerFacts& container)
{
    const auto& guest = guest_of(facts, container);
    const auto conf = container.conf();
    const auto in_conf = [&](const std::string& fact) { return conf + ": " + fact; };
    Findings findings;
    for (const auto& device : guest.lxc.devices_at_next_start())
        if (device.start_error)
            findings.push_back(
                {Verdict::error, line_with(container, device) + ": " + *device.start_error,
                 device.too_new.empty()
                     ? set(guest, "--delete " + device.key,
                           "takes the line out; or write the path of a device into it")
                     : set(guest, "--" + device.key + " '" + device.value_without(device.too_new) + "'",
                           "goes without it; or upgrade Proxmox")});
    for (const auto& [fact, remedy] : double_entries(guest.lxc, guest.lxc.devices_at_next_start()))
        findings.push_back({Verdict::error, in_conf(fact), {remedy}});
    for (const auto& [fact, remedy] : container.not_delegated)
        findings.push_back({Verdict::error, in_conf(fact), {remedy}, "the container does not start"});
    for (const auto& warning : guest.lxc.warnings)
        if (warning.loses_device)
            findings.push_back({Verdict::error,
                                warning.in(conf).fact,
                                {warning.advice.remedy},
                                "the container starts without the device"});
        else
            findings.push_back({Verdict::note,
                                to_string(warning.in(conf)),
                                {"correct the line in " + conf},
                                "the container starts, but not as the line says"});
    return or_ok(findings, conf + " has no line that Proxmox refuses");
}

std::string what_is_there(const NodeFacts& node)
{
    if (!node.number) return ", which is not on this host";
    return ", which has the number " + to_string(*node.number) + ", and no driver of this boot is behind it";
}

std::vector<WantedNode> wanted_of(const ContainerFacts& container)
{
    std::vector<WantedNode> wanted;
    for (const auto& node : container.nodes) wanted.push_back(node.wanted);
    return wanted;
}

// A devN is looked at by Proxmox before any hook runs (PVE::LXC::Tools), a mount by LXC after the hook's
// pre-start.
// `named` are the nodes that its lines name, and that other findings have said to write.
Finding missing_of(const CheckFacts& facts, const ContainerFacts& container, const NodeFacts& node,
                   std::vector<WantedNode>& named)
{
    const auto& guest = guest_of(facts, container);
    const auto& wanted = node.wanted;
    Finding finding{wanted.optional ? Verdict::warning : Verdict::error,
                    line_with(container, wanted) + what_is_there(node)};
    if (wanted.by_proxmox && node.number)
        finding.why = "the container starts, and its device does not work";
    else if (wanted.optional)
        finding.why = "the container starts without the device";
    else if (!wanted.by_proxmox)
        finding.why = "LXC refuses a mount that is not 'optional'";
    const auto cause = why_missing(wanted, facts.node_host, named);
    const auto no_program = no_maker(wanted.node, facts.node_host);
    if (cause && cause->is_the_hosts) {
        finding.evidence += cause->why.fact;
        finding.remedy = {cause->why.remedy + "; then 'pve-gpu-hook --nodes'"};
    } else if (cause) {
        finding.evidence += cause->why.fact;
        finding.remedy = removal_of(container, wanted, cause->why.remedy);
        const auto* device = find_where(guest.lxc.devices, [&](const auto& one) {
            return wanted.by_proxmox && one.key == wanted.from && one.path == wanted.node.path;
        });
        if (cause->is_superfluous && wanted.by_proxmox)
            finding.remedy = set(guest, "--delete " + wanted.from,
                                 "takes the line out: others name what there is of its kind");
        if (cause->is_the_lines && cause->instead.size() == 1) {
            const auto& path = cause->instead.front();
            named.push_back({*parse_gpu_node(path), wanted.from, path});
            if (device != nullptr)
                finding.remedy = set(guest, "--" + device->key + " '" + device->value_with_path(path) + "'",
                                     "names the device node that is there; or take the line out: 'pct set " +
                                         std::to_string(container.vmid) + " --delete " + device->key + "'");
        }
    } else if (no_program) {
        finding.evidence += no_program->fact;
        finding.remedy = by_command("apt install nvidia-modprobe",
                                    "it is in Debian's 'contrib'; then 'pve-gpu-hook --nodes'");
    } else if (!wanted.by_proxmox && guest.attached) {
        return {Verdict::ok, finding.evidence + "; the hook brings it at the next start"};
    } else {
        if (!node.number) finding.evidence += ", and no driver has made it since the host started";
        finding.remedy =
            by_command("pve-gpu-hook --nodes", "for every boot: " + guest.id.install_command(), true);
    }
    return finding;
}

Finding moved_of(const CheckFacts& facts, const ContainerFacts& container, const MovedNode& moved)
{
    Finding finding{Verdict::warning, line_with(container, moved.wanted) + ": " + moved.fact, {moved.remedy}};
    const auto& guest = guest_of(facts, container);
    for (const auto& device : guest.lxc.devices_at_next_start())
        if (device.key == moved.wanted.from && !moved.instead.empty())
            finding.remedy = set(
                guest, "--" + device.key + " '" + device.value_with_path(moved.instead) + "'", moved.remedy);
    finding.why =
        "numbers follow the order in which drivers are loaded, and the container has another GPU now";
    return finding;
}

Findings ct_nodes(const CheckFacts& facts, const ContainerFacts& container)
{
    if (container.nodes.empty()) return {};
    Findings findings;
    auto named = wanted_of(container);
    for (const auto& node : container.nodes)
        if (!node.present) findings.push_back(missing_of(facts, container, node, named));
    for (const auto& moved : moved_nodes(container.owners, wanted_of(container), facts.node_host.gpus))
        findings.push_back(moved_of(facts, container, moved));
    return or_ok(findings,
                 std::string(paths::dev) + " has every device node that " + container.conf() + " names");
}

// devtmpfs makes the nodes of /dev/dri itself; NVIDIA's are made by programs.
Findings ct_boot_unit(const CheckFacts& facts, const ContainerFacts& container)
{
    if (std::ranges::none_of(container.nodes, [](const auto& node) {
            return node.wanted.by_proxmox && node.wanted.node.is_nvidia();
        }))
        return {};
    const std::string link(paths::nodes_unit_enabled);
    if (facts.survey.links.contains(link)) return {{Verdict::ok, link + " is there"}};
    return {{Verdict::warning, link + " is absent",
             by_command(guest_of(facts, container).id.install_command(), "", true)}};
}

// Each as a warning about the container's configuration.
Findings warnings_about(const ContainerFacts& container, const std::vector<Advice>& found)
{
    Findings findings;
    for (const auto& [fact, remedy] : found)
        findings.push_back({Verdict::warning, container.conf() + ": " + fact, {remedy}});
    return findings;
}

Findings ct_numbers(const CheckFacts& facts, const ContainerFacts& container)
{
    const auto& lxc = guest_of(facts, container).lxc;
    auto findings = warnings_about(container, stale_numbers(lxc, container.nodes, facts.node_host.majors));
    if (lxc.mounts.empty()) return findings;
    return or_ok(findings,
                 std::string(paths::proc_devices) + " has the numbers that " + container.conf() + " allows");
}

// A capability that is no MIG instance's: root's on the host too, and better left so.
bool is_roots_capability(const GpuNode& node, const NodeHost& host)
{
    if (node.kind != NodeKind::nvidia_cap) return false;
    if (!host.capabilities) return true; // not known to be another
    const auto file = host.capabilities->find(*node.number);
    return file == host.capabilities->end() || !is_mig_access(file->second);
}

// Proxmox then makes it 0660 and root's (create_passthrough_device_node in pve-container's LXC.pm).
bool is_for_root_only(const LxcDevice& device, const NodeHost& host)
{
    const auto node = parse_gpu_node(device.path);
    return !device.start_error && node && !is_roots_capability(*node, host) &&
           std::ranges::none_of(split(device.value, ','), [](auto part) {
               return part.starts_with("mode=") || part.starts_with("gid=") || part.starts_with("uid=");
           });
}

// Who in the container may open what it is given.
Findings ct_rights(const CheckFacts& facts, const ContainerFacts& container)
{
    const auto& guest = guest_of(facts, container);
    auto findings =
        warnings_about(container, foreign_nodes(guest.lxc, container.nodes, facts.node_host.capabilities));
    for (const auto& device : guest.lxc.devices_at_next_start())
        if (is_for_root_only(device, facts.node_host))
            findings.push_back(
                {Verdict::note, line_with(container, device) + " has no 'mode' and no 'gid'",
                 set(guest, "--" + device.key + " '" + device.value + ",mode=0666'",
                     "or 'gid=' with the number that the container's group 'render' or 'video' has")});
    for (const auto& [device, fact, value] :
         wrong_groups(container.inside, guest.lxc.devices_at_next_start()))
        findings.push_back({Verdict::warning, line_with(container, device) + ": " + fact,
                            set(guest, "--" + device.key + " '" + value + "'")});
    if (container.inside.groups.empty())
        for (const auto& device : devices_of_groups(guest.lxc.devices_at_next_start()))
            findings.push_back({Verdict::unknown,
                                line_with(container, device) +
                                    ": which of the container's groups has that number is seen only while "
                                    "it runs",
                                by_command("pve-gpu-install check --ct " + guest.id.number(),
                                           "when it runs; its own /etc/group tells")});
    if (container.nodes.empty()) return findings;
    return or_ok(findings, container.conf() + " names no device node that only root could open");
}

// The libraries of a running container that is given a node of NVIDIA's.
Findings ct_library(const CheckFacts& facts, const ContainerFacts& container)
{
    const auto& versions = container.inside.library_versions;
    const auto& module = facts.nvidia_version;
    if (versions.empty() || module.empty()) return {};
    if (const auto mismatch = library_mismatch(container.inside, module))
        return {{Verdict::warning, mismatch->fact, {mismatch->remedy}}};
    return {{Verdict::ok, std::string(paths::nvidia_module_version) + " is " + quote(module) +
                              ", and the container has libraries of '" + join(versions, "', '") + "'"}};
}

Findings ct_restart(const ContainerFacts& container)
{
    if (!container.running || container.nodes.empty()) return {};
    const auto vmid = std::to_string(container.vmid);
    const auto dev = "/dev in container " + vmid;
    if (!container.inside.seen)
        return {{Verdict::unknown, dev + " cannot be inspected in time",
                 by_command("pct exec " + vmid + " -- ls -l /dev /dev/dri")}};
    const auto reasons = restart_reasons(container.inside);
    if (reasons.empty()) return {{Verdict::ok, dev + " has what " + container.conf() + " names"}};
    return {{Verdict::warning, dev + ": " + join(reasons, "; "), by_command("pct reboot " + vmid)}};
}

// What a container that names nodes of a passed card has to do with it; on vfio-pci nothing tells which nodes
// its driver would make.
Findings sharing_with(const CheckFacts& facts, const GpuFacts& gpu, const CardNodes& nodes,
                      const ContainerFacts& container)
{
    Findings findings;
    const auto& lxc = guest_of(facts, container).lxc;
    const auto all = wanted_nodes(lxc, lxc.devices_at_next_start());
    const auto* host = find_by(facts.node_host.gpus, gpu.address, &HostGpu::address);
    if (const auto* wanted = node_of_card(all, nodes))
        findings.push_back({Verdict::warning,
                            line_with(container, *wanted) + " of this card, which the 'hostpci' lines of " +
                                vms_in_words(facts, facts.meant(gpu.vmids)) + " name too",
                            removal_of(container, *wanted, "give the VM another card")});
    else if (host != nullptr && host->on_vfio)
        if (const auto* node = find_where(container.nodes, [&](const NodeFacts& one) {
                return !one.present && could_have(*host, one.wanted.node);
            }))
            findings.push_back({Verdict::unknown,
                                line_with(container, node->wanted) +
                                    ", which is not there; it may be this card's, which vfio-pci has",
                                {"name it by its place, which no other card can have: /dev/dri/by-path/pci-" +
                                 to_string(gpu.address) + "-render; or see 'ct.nodes'"}});
    for (auto& finding : findings) {
        finding.guests = {container.vmid};
        if (!facts.asked.empty() && !contains(facts.asked, container.vmid)) // the advice is for the VM
            finding.remedy = {"give " + vms_in_words(facts, facts.meant(gpu.vmids)) +
                              " another card, or take it from " + subject_of(container).name};
    }
    return findings;
}

Findings ct_shared_card(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto* nodes = find_by(facts.card_nodes, gpu.address, &CardNodes::function);
    if (nodes == nullptr || facts.containers.empty()) return {};
    Findings findings;
    for (const auto& container : facts.containers)
        append(findings, sharing_with(facts, gpu, *nodes, container));
    return or_ok(findings,
                 std::string(paths::pve_ct_configs) + " has no container that names its device nodes");
}

} // namespace

std::vector<Check> container_checks()
{
    return {
        {"ct.config", "Proxmox takes every devN line", "devN lines of containers",
         "Proxmox keeps a devN line that it cannot use, and then does not start the container",
         each_container<ct_config>},
        {"ct.nodes", "the host has every device node that a container names",
         "the device nodes that containers name, against /dev and /proc/devices",
         "Proxmox looks at a devN path before any hook runs: 'Device ... does not exist'",
         each_container<ct_nodes>},
        {"ct.boot-unit", "NVIDIA's device nodes are made at boot",
         "whether pve-gpu-hook-nodes.service is enabled where containers name NVIDIA's device nodes",
         "after a boot nobody else makes these device nodes before Proxmox starts the containers",
         each_container<ct_boot_unit>},
        {"ct.numbers", "allowed device numbers are those of this boot",
         "device numbers in lxc.cgroup2.devices.allow, against those of this boot",
         "some drivers get another number at each boot, and the container may not open the device then",
         each_container<ct_numbers>},
        {"ct.rights", "users in the container may open their device nodes",
         "owner and mode of the device nodes that a container is given",
         "a service with a user of its own does not see the GPU, though the device node is there",
         each_container<ct_rights>},
        {"ct.library", "NVIDIA's libraries fit its module",
         "NVIDIA's libraries in running containers against the kernel's module",
         "nothing of NVIDIA works across versions, not even nvidia-smi", each_container<ct_library>},
        {"ct.restart", "the container has what its configuration names",
         "/dev of running containers against their configuration",
         "a container gets a device when it starts, not when the line is written",
         each_container<ct_restart>},
        {"ct.shared-card", "no container has the VM's card",
         "the device nodes of passed cards, against what containers name",
         "the container loses the card when the VM starts, or its program keeps the VM from starting",
         each_passed_gpu<ct_shared_card>},
    };
}

} // namespace pvegpu
