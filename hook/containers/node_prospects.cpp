#include "containers/node_prospects.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

constexpr unsigned first_render = 128; // DRM_MINOR_RENDER in the kernel's drm_drv.c

bool is_dri(NodeKind kind)
{
    return kind == NodeKind::dri || kind == NodeKind::dri_card || kind == NodeKind::dri_render ||
           kind == NodeKind::dri_by_path;
}

bool is_render(const GpuNode& node)
{
    return node.kind == NodeKind::dri_render ||
           (node.kind == NodeKind::dri_by_path && node.path.ends_with("-render"));
}

// The displays of servers' management controllers have no render node (no DRIVER_RENDER in the kernel's ast
// and mgag200). Of others it is known once the driver has them: the render node comes before the card's
// (drm_dev_register).
bool renders(const HostGpu& gpu)
{
    const bool of_a_server = gpu.id.starts_with("1a03:") || gpu.id.starts_with("102b:"); // ASPEED, Matrox
    return !of_a_server && (gpu.cards.empty() || !gpu.renders.empty());
}

// The GPU could have a node of that kind, whoever has it now.
bool could_have(const HostGpu& gpu, const GpuNode& node)
{
    if (is_render(node) && !renders(gpu)) return false;
    if (node.address) return gpu.address == *node.address;
    if (node.is_nvidia()) return gpu.is_nvidia();
    return is_dri(node.kind) || gpu.is_amd();
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
bool can_come(const GpuNode& node, const std::vector<const HostGpu*>& candidates)
{
    std::set<unsigned> used;
    std::size_t without_number = 0; // but with a driver, or one to be had
    bool served = false;
    for (const auto* gpu : candidates) {
        const auto ranks = ranks_of(*gpu, node);
        used.insert(ranks.begin(), ranks.end());
        const bool has_driver = serves(*gpu, node);
        served = served || has_driver;
        if (can_be_bound(*gpu) || (has_driver && ranks.empty())) ++without_number;
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

} // namespace

bool is_a_vms(const HostGpu& gpu)
{
    return !gpu.holders.empty();
}

bool can_be_bound(const HostGpu& gpu)
{
    return gpu.driver.empty() && !is_a_vms(gpu);
}

bool NodeProspect::needs_nvidia_drm() const
{
    bool needed = false;
    for (const auto* gpu : candidates) {
        const bool without_nodes = gpu->cards.empty() && gpu->renders.empty();
        const bool nvidias = gpu->driver == "nvidia";
        if (without_nodes && !nvidias && (is_the_hosts(*gpu) || can_be_bound(*gpu))) return false;
        needed = needed || (without_nodes && nvidias);
    }
    return needed;
}

const HostGpu* NodeProspect::vms_gpu() const
{
    const auto found = std::ranges::find_if(candidates, [](const HostGpu* gpu) { return is_a_vms(*gpu); });
    return found == candidates.end() ? nullptr : *found;
}

const HostGpu* NodeProspect::others_gpu(const GpuNode& node) const
{
    const auto found = std::ranges::find_if(candidates, [&](const HostGpu* gpu) {
        return !gpu->driver.empty() && !gpu->on_vfio && !serves(*gpu, node);
    });
    return found == candidates.end() ? nullptr : *found;
}

std::vector<std::string> nodes_of_kind(NodeKind kind, const HostGpu& gpu)
{
    std::vector<std::string> nodes;
    if (kind == NodeKind::nvidia_gpu && gpu.nvidia)
        nodes.push_back("/dev/nvidia" + std::to_string(*gpu.nvidia));
    if (kind == NodeKind::dri_card)
        for (const auto number : gpu.cards) nodes.push_back("/dev/dri/card" + std::to_string(number));
    if (kind == NodeKind::dri_render)
        for (const auto number : gpu.renders) nodes.push_back("/dev/dri/renderD" + std::to_string(number));
    return nodes;
}

NodeProspect prospect_of(const GpuNode& node, const std::vector<HostGpu>& gpus)
{
    NodeProspect result;
    for (const auto& gpu : gpus)
        if (could_have(gpu, node)) result.candidates.push_back(&gpu);
    const auto& candidates = result.candidates;
    const auto on_vfio = [](const HostGpu* gpu) { return gpu->on_vfio; };
    const auto a_vms = [](const HostGpu* gpu) { return is_a_vms(*gpu); };
    if (can_come(node, candidates))
        result.prospect = Prospect::can_come;
    else if (is_too_high(node, candidates.size()))
        result.prospect = Prospect::never;
    else if (!candidates.empty() && std::ranges::all_of(candidates, a_vms))
        result.prospect = Prospect::taken_by_vms;
    else if (result.vms_gpu() != nullptr)
        result.prospect = Prospect::perhaps_of_a_vm;
    else if (std::ranges::any_of(candidates, on_vfio))
        result.prospect = Prospect::on_vfio;
    else if (result.others_gpu(node) != nullptr)
        result.prospect = Prospect::another_driver;
    return result;
}

} // namespace pvegpu
