#include "containers/node_plan.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/nvidia_nodes.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sys/stat.h>

namespace pvegpu {
namespace {

constexpr unsigned first_render = 128; // DRM_MINOR_RENDER in the kernel's drm_drv.c

using Candidates = std::vector<const HostGpu*>; // that could have a node, whoever has them now

template <typename Test> const HostGpu* first_of(const Candidates& candidates, Test test)
{
    const auto* found = find_where(candidates, test);
    return found == nullptr ? nullptr : *found;
}

// A VM has it, or is about to.
bool is_a_vms(const HostGpu* gpu)
{
    return !gpu->holders.empty();
}

// A driver that is loaded would take it.
bool can_be_bound(const HostGpu* gpu)
{
    return gpu->driver.empty() && !is_a_vms(gpu);
}

bool is_dri(NodeKind kind)
{
    return kind == NodeKind::dri || kind == NodeKind::dri_card || kind == NodeKind::dri_render ||
           kind == NodeKind::dri_by_path;
}

// The displays of servers' management controllers have no render node (no DRIVER_RENDER in the kernel's ast
// and mgag200). Of others it is known once the driver has them: the render node comes before the card's
// (drm_dev_register).
bool renders(const HostGpu& gpu)
{
    const bool of_a_server = gpu.id.starts_with("1a03:") || gpu.id.starts_with("102b:"); // ASPEED, Matrox
    return !of_a_server && (gpu.cards.empty() || !gpu.renders.empty());
}

// A driver of the host has it; pci-stub is none, it only keeps others away.
bool is_the_hosts(const HostGpu& gpu)
{
    return !gpu.driver.empty() && !gpu.on_vfio && gpu.driver != "pci-stub";
}

// A driver of the host has it that makes such nodes.
bool serves(const HostGpu& gpu, const GpuNode& node)
{
    if (node.is_nvidia()) return gpu.driver == "nvidia";
    if (node.kind == NodeKind::kfd) return gpu.driver == "amdgpu";
    return is_the_hosts(gpu);
}

// The number of the GPU among its kind; nothing for nodes that a host has once.
std::optional<unsigned> rank_of(const GpuNode& node)
{
    if (node.kind == NodeKind::nvidia_gpu || node.kind == NodeKind::dri_card) return node.number;
    if (node.kind != NodeKind::dri_render || *node.number < first_render) return std::nullopt;
    return *node.number - first_render;
}

std::vector<unsigned> ranks_of(const HostGpu& gpu, const GpuNode& node)
{
    if (node.kind == NodeKind::dri_card) return gpu.cards;
    std::vector<unsigned> ranks;
    if (node.kind == NodeKind::nvidia_gpu && gpu.nvidia) ranks.push_back(*gpu.nvidia);
    for (const auto render : gpu.renders)
        if (node.kind == NodeKind::dri_render) ranks.push_back(render - first_render);
    return ranks;
}

// Drivers give each new GPU the lowest number that is free (nv_linux_add_device_locked of NVIDIA's driver,
// drm_minor_alloc of the kernel's).
bool can_come(const GpuNode& node, const Candidates& candidates)
{
    std::set<unsigned> used;
    std::size_t without_number = 0; // but with a driver, or one to be had
    bool served = false;
    for (const auto* gpu : candidates) {
        const auto ranks = ranks_of(*gpu, node);
        used.insert(ranks.begin(), ranks.end());
        const bool has_driver = serves(*gpu, node);
        served = served || has_driver;
        if (can_be_bound(gpu) || (has_driver && ranks.empty())) ++without_number;
    }
    const auto rank = rank_of(node);
    if (!rank) return served || without_number > 0;
    if (used.contains(*rank)) return true;
    const auto used_below = std::distance(used.begin(), used.lower_bound(*rank));
    const auto free_below = *rank - static_cast<std::size_t>(used_below);
    return free_below < without_number;
}

// A number that the host could not have even with every GPU is a wrong number, not a VM's fault. A card's
// number may be one higher: the firmware's framebuffer had the first at boot.
bool is_too_high(const GpuNode& node, std::size_t gpus)
{
    const auto rank = rank_of(node);
    return rank && *rank >= gpus + (node.kind == NodeKind::dri_card ? 1 : 0);
}

Candidates candidates_for(const GpuNode& node, const std::vector<HostGpu>& gpus)
{
    Candidates candidates;
    for (const auto& gpu : gpus)
        if (could_have(gpu, node)) candidates.push_back(&gpu);
    return candidates;
}

// Of a node below /dev/dri: nobody else has one to come, and NVIDIA's driver, which has its GPU, leaves such
// nodes to a module of its own.
bool needs_nvidia_drm(const Candidates& candidates)
{
    bool needed = false;
    for (const auto* gpu : candidates) {
        const bool without_nodes = gpu->cards.empty() && gpu->renders.empty();
        const bool nvidias = gpu->driver == "nvidia";
        if (without_nodes && !nvidias && (is_the_hosts(*gpu) || can_be_bound(gpu))) return false;
        needed = needed || (without_nodes && nvidias);
    }
    return needed;
}

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
std::string instead_of(NodeKind kind, const Candidates& candidates)
{
    std::vector<std::string> there;
    for (const auto* gpu : candidates)
        for (const auto& path : gpu->nodes())
            if (parse_gpu_node(path)->kind == kind) there.push_back(quote(path));
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
        const auto obstacle = why_missing(wanted, situation_.gpus);
        if (!obstacle) return bring(wanted.node);
        const auto& [fact, remedy] = obstacle->why;
        if (!obstacle->vms_have_all || !starts_ || !cannot_start_without(wanted))
            plan_.warnings.push_back({named(wanted) + " is not there" + fact, remedy});
        else if (!plan_.refused)
            plan_.refused = Refusal{Reason::in_use, {named(wanted) + " cannot be there" + fact, remedy}};
    }

    void bring(const GpuNode& node)
    {
        if (node.is_nvidia()) {
            load("nvidia");
            if (node.kind == NodeKind::nvidia_uvm || node.kind == NodeKind::nvidia_uvm_tools)
                load("nvidia-uvm");
            if (node.kind == NodeKind::nvidia_modeset) load("nvidia-modeset");
            if (situation_.nvidia_modprobe && nvidia_modprobe_makes(node.kind))
                creates_.push_back({NodeStep::Kind::create, node.path});
        } else {
            const auto candidates = candidates_for(node, situation_.gpus);
            if (needs_nvidia_drm(candidates)) load("nvidia-drm");
            for (const auto* gpu : candidates)
                if (can_be_bound(gpu) && !gpu->modalias.empty()) load(gpu->modalias);
        }
        waits_.push_back({NodeStep::Kind::wait, node.path});
    }

    void load(const std::string& module)
    {
        std::string file = module; // the kernel spells a module with '_'
        std::ranges::replace(file, '-', '_');
        if (situation_.modules.contains(file)) return;
        for (const auto& planned : plan_.steps)
            if (planned.target == module) return; // the others come last
        plan_.steps.push_back({NodeStep::Kind::load, module});
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

bool could_have(const HostGpu& gpu, const GpuNode& node)
{
    if (node.is_render() && !renders(gpu)) return false;
    if (node.address) return gpu.address == *node.address;
    if (node.is_nvidia()) return gpu.is_nvidia();
    return is_dri(node.kind) || gpu.is_amd();
}

std::optional<Obstacle> why_missing(const WantedNode& wanted, const std::vector<HostGpu>& gpus)
{
    const auto& node = wanted.node;
    const auto candidates = candidates_for(node, gpus);
    const Obstacle never{{", and no GPU of this host can have it", "correct the line"}};
    if (can_come(node, candidates)) return std::nullopt;
    if (is_too_high(node, candidates.size())) return never;
    if (const auto* gpu = first_of(candidates, is_a_vms)) {
        if (std::ranges::all_of(candidates, is_a_vms))
            return Obstacle{
                {": " + in_use(*gpu, " is"), std::string("stop it first, or ") + take_the_line_out}, true};
        return Obstacle{
            {"; it may be a node of " + in_use(*gpu, ", which is"), instead_of(node.kind, candidates)}};
    }
    if (first_of(candidates, [](const HostGpu* gpu) { return gpu->on_vfio; }) != nullptr)
        return Obstacle{{": the GPU is on vfio-pci, where no container can use it",
                         "give it back to the host's driver, or let it be at boot"}};
    const auto makes_none = [&](const HostGpu* gpu) { return !gpu->driver.empty() && !serves(*gpu, node); };
    if (const auto* gpu = first_of(candidates, makes_none)) return Obstacle{other_driver(node, *gpu)};
    return never;
}

StepReport report_of(const NodeStep& step)
{
    using enum NodeStep::Kind;
    constexpr std::array names{EnumName{"load", load}, EnumName{"create", create}, EnumName{"wait", wait}};
    return {name_of(names, step.kind), step.target};
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
        stale.push_back({named(wanted) + " has the number " + to_string(number) +
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
