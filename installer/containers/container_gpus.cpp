#include "containers/container_gpus.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>

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

bool has_nodes(const HostGpu& gpu)
{
    return gpu.nvidia || !gpu.renders.empty() || !gpu.cards.empty();
}

std::string choice_of(const std::vector<HostGpu>& gpus)
{
    std::vector<std::string> names;
    names.reserve(gpus.size());
    for (const auto& gpu : gpus)
        names.push_back(quote(gpu.address) + " (" +
                        (has_nodes(gpu)       ? "driver " + quote(gpu.driver)
                         : gpu.driver.empty() ? std::string("no driver, so no device nodes")
                                              : "driver " + quote(gpu.driver) + ", no device nodes") +
                        ")");
    return names.empty() ? "this host has no GPU" : "this host has " + join(names, ", ");
}

// Numbers as nvidia-smi has them, where there is such a driver.
const HostGpu* by_number(const std::vector<HostGpu>& gpus, unsigned number)
{
    const bool nvidia = std::ranges::any_of(gpus, [](const auto& gpu) { return gpu.nvidia.has_value(); });
    unsigned place = 0;
    for (const auto& gpu : gpus) {
        if (nvidia && gpu.nvidia == number) return &gpu;
        if (!nvidia && has_nodes(gpu) && place++ == number) return &gpu;
    }
    return nullptr;
}

const HostGpu& by_word(const std::vector<HostGpu>& gpus, std::string_view word)
{
    const HostGpu* found = nullptr;
    if (const auto number = parse_decimal(word)) found = by_number(gpus, *number);
    if (const auto address = parse_pci_address(word))
        for (const auto& gpu : gpus)
            if (gpu.address == *address) found = &gpu;
    if (found == nullptr) throw Error(Reason::not_found, {"there is no GPU " + quote(word), choice_of(gpus)});
    if (!found->holders.empty())
        throw Error(Reason::in_use,
                    {quote(found->address) + " is in use by " + describe(found->holders.front()),
                     "a container and a VM cannot have one GPU at a time, stop it first"});
    if (!has_nodes(*found))
        throw Error(Reason::invalid_config,
                    {quote(found->address) + " has no device nodes on the host, because its driver is " +
                         (found->driver.empty() ? "not loaded" : quote(found->driver)),
                     "a container needs the host's driver"});
    return *found;
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

std::vector<const HostGpu*> choose_gpus(const std::vector<HostGpu>& gpus,
                                        const std::vector<std::string>& words)
{
    std::vector<const HostGpu*> chosen;
    for (const auto& list : words)
        for (const auto word : split(list, ','))
            if (const auto* gpu = &by_word(gpus, word); !contains(chosen, gpu)) chosen.push_back(gpu);
    if (!words.empty()) return chosen;
    for (const auto& gpu : gpus)
        if (has_nodes(gpu)) chosen.push_back(&gpu);
    if (chosen.size() != 1)
        throw Error(Reason::not_found, {"which GPU? name it with '--gpu'", choice_of(gpus)});
    return chosen;
}

} // namespace pvegpu
