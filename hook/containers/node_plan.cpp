#include "containers/node_plan.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/nvidia_nodes.hpp"
#include "pci/topology.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

// LXC leaves out a mount that is optional. Whose /dev/dri/cardN was is never certain: firmware framebuffers
// and USB displays have such nodes too. Nor is NVSwitch a GPU.
bool cannot_start_without(const WantedNode& wanted)
{
    return !wanted.optional && wanted.node.kind != NodeKind::dri_card &&
           wanted.node.kind != NodeKind::nvidia_other;
}

class ContainerPlanner {
public:
    ContainerPlanner(NodePlan& plan, const NodeHost& vm_facts, bool starts)
        : plan_(plan), situation_(vm_facts), starts_(starts)
    {
        if (starts) // at boot they are of many containers
            for (const auto& facts : vm_facts.nodes) all_.push_back(facts.wanted);
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
        const auto obstacle = why_missing(wanted, situation_, all_);
        if (!obstacle) return bring(wanted.node);
        if (starts_ && obstacle->is_the_lines && obstacle->instead.size() == 1) // one line may name it
            all_.push_back(
                {*parse_gpu_node(obstacle->instead.front()), wanted.from, obstacle->instead.front()});
        const auto& [fact, remedy] = obstacle->why;
        if (!obstacle->vms_have_all || !starts_ || !cannot_start_without(wanted))
            plan_.warnings.push_back({named(wanted) + " is not there" + fact, remedy});
        else if (!plan_.refused)
            plan_.refused = Refusal{ErrorKind::in_use, {named(wanted) + " cannot be there" + fact, remedy}};
    }

    void bring(const GpuNode& node)
    {
        if (node.is_nvidia()) {
            load("nvidia");
            if (node.is_uvm()) load("nvidia-uvm");
            if (node.kind == NodeKind::nvidia_modeset) load("nvidia-modeset");
            if (situation_.nvidia_modprobe && nvidia_modprobe_makes(node.kind))
                creates_.push_back({NodeStep::Kind::create, node.path});
        } else {
            for (const auto& module : drivers_to_load(node, situation_.gpus)) load(module);
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
    const NodeHost& situation_;
    bool starts_; // a container does, and can be refused
    std::vector<WantedNode> all_;
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

} // namespace

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

NodePlan make_container_plan(const ContainerGuest& guest, const NodeHost& vm_facts, const Settings& settings)
{
    NodePlan plan;
    plan.warnings = guest.warnings;
    plan.nodes = vm_facts.nodes;
    if (guest.config.is_template || settings.strategy == Strategy::off) return plan;
    warn_of_wrong_lines(guest.config, plan);
    ContainerPlanner(plan, vm_facts, guest.vmid.has_value()).plan_nodes();
    append(plan.warnings, stale_numbers(guest.config, vm_facts.nodes, vm_facts.majors));
    append(plan.warnings, foreign_nodes(guest.config, vm_facts.nodes, vm_facts.capabilities));
    return plan;
}

} // namespace pvegpu
