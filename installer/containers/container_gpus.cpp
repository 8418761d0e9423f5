#include "containers/container_gpus.hpp"

#include "base/lists.hpp"

namespace pvegpu {
namespace {

bool has(const std::vector<unsigned>& numbers, std::optional<unsigned> number)
{
    return number && contains(numbers, *number);
}

bool is_of(const GpuNode& node, const HostGpu& gpu)
{
    switch (node.kind) {
    case NodeKind::nvidia_gpu:
        return gpu.nvidia && node.number == gpu.nvidia;
    case NodeKind::dri_card:
        return has(gpu.cards, node.number);
    case NodeKind::dri_render:
        return has(gpu.renders, node.number);
    case NodeKind::dri_by_path:
        return node.address == gpu.address;
    case NodeKind::dri:
        return !gpu.cards.empty() || !gpu.renders.empty();
    default:
        return false;
    }
}

// The GPU's render node in the container, if this line gives it one.
std::string render_of(const WantedNode& wanted, const HostGpu& gpu)
{
    const auto kind = wanted.node.kind;
    const bool whole = kind == NodeKind::dri && !gpu.renders.empty();
    if (whole) return wanted.in_guest + "/renderD" + std::to_string(gpu.renders.front());
    const bool render = kind == NodeKind::dri_render ||
                        (kind == NodeKind::dri_by_path && wanted.node.path.ends_with("-render"));
    return render ? wanted.in_guest : "";
}

} // namespace

std::vector<GivenGpu> gpus_given_to(const ContainerSurvey& container)
{
    std::vector<GivenGpu> given;
    for (const auto& gpu : container.gpus) {
        GivenGpu one;
        for (const auto& wanted : container.wanted) {
            if (!is_of(wanted.node, gpu)) continue;
            one.gpu = &gpu;
            one.nvidia = one.nvidia || wanted.node.is_nvidia();
            if (one.render.empty()) one.render = render_of(wanted, gpu);
        }
        if (one.gpu != nullptr) given.push_back(std::move(one));
    }
    return given;
}

} // namespace pvegpu
