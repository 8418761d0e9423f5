#include "containers/node_plan.hpp"

#include "base/lists.hpp"
#include "base/overloaded.hpp"
#include "base/text.hpp"
#include "containers/node_prospects.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace pvegpu {
namespace {

std::string named(const WantedNode& wanted)
{
    return "'" + wanted.node.path + "' (" + wanted.from + ")";
}

constexpr auto take_the_line_out = "take the line out of the container";

// "the GPU '0000:03:00.0' is in use by VM 101 (pid 4711, kvm)"
std::string in_use(const HostGpu& gpu, const std::string& is)
{
    return "the GPU " + quote(gpu.address) + is + " in use by " + describe(gpu.holders.front());
}

// Numbers change from boot to boot: the GPU that the container means may have another one now.
std::string instead_of(NodeKind kind, const std::vector<const HostGpu*>& candidates)
{
    std::vector<std::string> there;
    for (const auto* gpu : candidates)
        for (const auto& path : nodes_of_kind(kind, *gpu)) there.push_back(quote(path));
    if (there.empty()) return std::string("stop it first, or ") + take_the_line_out;
    return "write a node that is there (" + join(there, ", ") + ") instead, or stop that first";
}

Advice other_driver(const GpuNode& node, const HostGpu& gpu)
{
    const auto driver = printable(gpu.driver);
    const auto fact =
        ": the GPU " + quote(gpu.address) + " has the driver '" + driver + "', which makes no such node";
    if (driver == "pci-stub")
        return {fact, "take its ids out of what 'pci-stub' is given at boot, and reboot"};
    if (node.is_nvidia())
        return {fact, "install NVIDIA's driver on the host, write 'blacklist " + driver +
                          "' into a file of /etc/modprobe.d, run 'update-initramfs -u' and reboot"};
    return {fact, std::string("give the GPU to 'amdgpu', or ") + take_the_line_out};
}

// LXC leaves out a mount that is optional. Whose /dev/dri/cardN was is never certain: firmware framebuffers
// and USB displays have such nodes too. Nor is NVSwitch a GPU.
bool cannot_start_without(const WantedNode& wanted)
{
    return !wanted.optional && wanted.node.kind != NodeKind::dri_card &&
           wanted.node.kind != NodeKind::nvidia_other;
}

bool can_be_created(NodeKind kind)
{
    return kind == NodeKind::nvidia_gpu || kind == NodeKind::nvidia_control ||
           kind == NodeKind::nvidia_modeset || kind == NodeKind::nvidia_uvm ||
           kind == NodeKind::nvidia_uvm_tools || kind == NodeKind::nvidia_cap;
}

class ContainerPlanner {
public:
    ContainerPlanner(NodePlan& plan, const NodeSituation& situation, bool starts)
        : plan_(plan), situation_(situation), starts_(starts)
    {
    }

    void plan_nodes()
    {
        for (const auto& facts : situation_.nodes)
            if (!facts.present) look_at(facts.wanted);
        if (plan_.refused) return;
        auto& steps = plan_.steps;
        append(steps, creates_);
        append(steps, waits_);
    }

private:
    void look_at(const WantedNode& wanted)
    {
        const auto why = why_missing(wanted, situation_);
        if (!why) return bring(wanted.node, prospect_of(wanted.node, situation_.gpus));
        const auto prospect = prospect_of(wanted.node, situation_.gpus).prospect;
        if (prospect != Prospect::taken_by_vms || !starts_ || !cannot_start_without(wanted))
            plan_.warnings.push_back({named(wanted) + " is not there" + why->fact, why->remedy});
        else if (!plan_.refused)
            plan_.refused =
                Refusal{Reason::in_use, {named(wanted) + " cannot be there" + why->fact, why->remedy}};
    }

    void bring(const GpuNode& node, const NodeProspect& from)
    {
        if (node.is_nvidia()) {
            load("nvidia");
            if (node.kind == NodeKind::nvidia_uvm || node.kind == NodeKind::nvidia_uvm_tools)
                load("nvidia-uvm");
            if (node.kind == NodeKind::nvidia_modeset) load("nvidia-modeset");
            if (situation_.nvidia_modprobe && can_be_created(node.kind))
                creates_.emplace_back(CreateNode{node.path});
        } else {
            if (from.needs_nvidia_drm()) load("nvidia-drm");
            for (const auto* gpu : from.candidates)
                if (can_be_bound(*gpu) && !gpu->modalias.empty()) load(gpu->modalias);
        }
        waits_.emplace_back(AwaitNode{node.path});
    }

    void load(const std::string& module)
    {
        std::string file = module; // the kernel spells a module with '_'
        std::ranges::replace(file, '-', '_');
        if (situation_.modules.contains(file)) return;
        for (const auto& planned : plan_.steps)
            if (std::get<LoadModule>(planned).name == module) return; // the others come last
        plan_.steps.emplace_back(LoadModule{module});
    }

    NodePlan& plan_;
    const NodeSituation& situation_;
    bool starts_; // a container does, and can be refused
    std::vector<NodeStep> creates_, waits_;
};

// Proxmox reads all of them before it calls the hook, so this is for a dry run and for the boot.
void warn_of_wrong_lines(const LxcConfig& config, NodePlan& plan)
{
    for (const auto& device : config.devices)
        if (device.start_error)
            plan.warnings.push_back(
                {"'" + device.key + "' (line " + std::to_string(device.line) + "): " + *device.start_error,
                 "Proxmox cannot start the container"});
}

std::string number_text(unsigned major, unsigned minor)
{
    return std::to_string(major) + ":" + std::to_string(minor);
}

// Lines that allow a number which no driver has: of an earlier boot, most likely.
std::string orphans(const LxcConfig& config, const KernelDevices& majors)
{
    std::string text;
    for (const auto& allow : config.allowed)
        if (!allow.everything && !allow.block && allow.major && majors.name_of(*allow.major).empty())
            text += (text.empty() ? "; no driver has the number of " : ", ") + quote(allow.text) + " (line " +
                    std::to_string(allow.line) + ")";
    return text;
}

bool may_open(const LxcConfig& config, const FileFacts& rights)
{
    const auto may = [&](mode_t bits) { return (rights.mode & bits) == bits; };
    return may(S_IROTH | S_IWOTH) || (may(S_IRUSR | S_IWUSR) && config.has_user(rights.owner)) ||
           (may(S_IRGRP | S_IWGRP) && config.has_group(rights.group));
}

} // namespace

std::optional<Advice> why_missing(const WantedNode& wanted, const NodeSituation& situation)
{
    const auto node = prospect_of(wanted.node, situation.gpus);
    switch (node.prospect) {
    case Prospect::taken_by_vms:
        return Advice{": " + in_use(*node.vms_gpu(), " is"),
                      std::string("stop it first, or ") + take_the_line_out};
    case Prospect::perhaps_of_a_vm:
        return Advice{"; it may be a node of " + in_use(*node.vms_gpu(), ", which is"),
                      instead_of(wanted.node.kind, node.candidates)};
    case Prospect::on_vfio:
        return Advice{": the GPU is on vfio-pci, where no container can use it",
                      "give it back to the host's driver, or let it be at boot"};
    case Prospect::another_driver:
        return other_driver(wanted.node, *node.others_gpu(wanted.node));
    case Prospect::never:
        return Advice{", and no GPU of this host can have it", "correct the line"};
    case Prospect::can_come:
        break;
    }
    return std::nullopt;
}

StepReport report_of(const NodeStep& step)
{
    return std::visit(Overloaded{[](const LoadModule& one) {
                                     return StepReport{"load", one.name};
                                 },
                                 [](const CreateNode& one) {
                                     return StepReport{"create", one.path};
                                 },
                                 [](const AwaitNode& one) {
                                     return StepReport{"wait", one.path};
                                 }},
                      step);
}

std::vector<StepReport> planned_steps(const NodePlan& plan)
{
    std::vector<StepReport> steps;
    append_unreached(steps, plan.steps);
    return steps;
}

std::vector<Advice> stale_numbers(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                  const KernelDevices& majors)
{
    std::vector<Advice> stale;
    for (const auto& facts : nodes) {
        const auto& wanted = facts.wanted;
        if (wanted.by_proxmox || !facts.present || !facts.number) continue;
        const auto number = *facts.number;
        const auto covers = [number](const LxcAllow& allow) {
            return allow.covers_character(number.major, number.minor);
        };
        if (std::ranges::any_of(config.allowed, covers)) continue;
        const auto major = std::to_string(number.major);
        stale.push_back({named(wanted) + " has the number " + number_text(number.major, number.minor) +
                             " on this host now, and the container may not open it: no "
                             "'lxc.cgroup2.devices.allow' covers it" +
                             orphans(config, majors),
                         "write 'devN: " + wanted.node.path +
                             "' instead of both lines, which follows the number, or 'lxc.cgroup2.devices."
                             "allow: c " +
                             major + ":* rwm'"});
    }
    return stale;
}

std::vector<Advice> foreign_nodes(const LxcConfig& config, const std::vector<NodeFacts>& nodes)
{
    std::vector<Advice> warnings;
    for (const auto& facts : nodes) {
        const auto& node = facts.wanted.node;
        if (facts.wanted.by_proxmox || !facts.present || !facts.rights || may_open(config, *facts.rights))
            continue;
        warnings.push_back(
            {named(facts.wanted) + " belongs to nobody in the unprivileged container, and the host lets only "
                                   "its owner and group open it: nothing in the container can",
             "write 'devN: " + node.path + (node.is_directory() ? "/...' for each node" : "'") +
                 " instead, which belongs to the container's root"});
    }
    return warnings;
}

NodePlan make_container_plan(const ContainerGuest& guest, const NodeSituation& situation,
                             const Settings& settings)
{
    NodePlan plan;
    plan.warnings = guest.warnings;
    plan.nodes = situation.nodes;
    if (guest.config.is_template || settings.strategy == Strategy::off) return plan;
    warn_of_wrong_lines(guest.config, plan);
    ContainerPlanner(plan, situation, guest.vmid.has_value()).plan_nodes();
    append(plan.warnings, stale_numbers(guest.config, situation.nodes, situation.majors));
    append(plan.warnings, foreign_nodes(guest.config, situation.nodes));
    return plan;
}

} // namespace pvegpu
