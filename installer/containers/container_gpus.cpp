#include "containers/container_gpus.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

bool is_of(const GpuNode& node, const HostGpu& gpu)
{
    if (node.kind == NodeKind::dri) return !gpu.cards.empty() || !gpu.renders.empty();
    return node.address == gpu.address || contains(gpu.nodes(), node.path);
}

// The GPU's render node in the container, if this line gives it one.
std::string render_of(const WantedNode& wanted, const HostGpu& gpu)
{
    if (wanted.node.kind == NodeKind::dri && !gpu.renders.empty())
        return wanted.in_guest + "/renderD" + std::to_string(gpu.renders.front());
    return wanted.node.is_render() ? wanted.in_guest : "";
}

bool has_nodes(const HostGpu& gpu)
{
    return !gpu.nodes().empty();
}

std::string choice_of(const std::vector<HostGpu>& gpus)
{
    std::vector<std::string> names;
    names.reserve(gpus.size());
    for (const auto& gpu : gpus)
        names.push_back(quote(gpu.address) + (gpu.driver.empty()
                                                  ? " (no driver, so no device nodes)"
                                                  : " (driver " + quote(gpu.driver) +
                                                        (has_nodes(gpu) ? ")" : ", no device nodes)")));
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
    const auto number = parse_decimal(word);
    const auto address = parse_pci_address(word);
    const auto* found = number ? by_number(gpus, *number) : find_by(gpus, address, &HostGpu::address);
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

std::vector<std::string> node_paths_of(const HostGpu& gpu, const ContainerSurvey& host)
{
    auto paths = gpu.nodes();
    if (!gpu.nvidia) {
        if (gpu.is_amd() && host.host_nodes.contains("/dev/kfd")) paths.emplace_back("/dev/kfd");
        return paths;
    }
    paths = {"/dev/nvidia" + std::to_string(*gpu.nvidia), "/dev/nvidiactl", "/dev/nvidia-uvm",
             "/dev/nvidia-uvm-tools"};
    if (host.host_nodes.contains("/dev/nvidia-modeset")) paths.emplace_back("/dev/nvidia-modeset");
    if (const auto mig = host.mig.find(gpu.address); mig != host.mig.end())
        for (const auto& instance : mig->second)
            paths.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(instance.number));
    return paths;
}

// Who may use a node in the container. Without a word Proxmox makes it 0660 and root's
// (create_passthrough_device_node in pve-container's LXC.pm), so a service with a user of its own could not
// open it. NVIDIA's own nodes are everybody's on the host too (NV_DEVICE_FILE_MODE of nvidia-modprobe), and
// render nodes and kfd are by default (systemd's 50-udev-default.rules); the group that a distribution gives
// them has another number in every container. Cards are for the group video, which is 44 wherever
// base-passwd makes it.
NewDevice device_for(const std::string& path)
{
    const auto node = parse_gpu_node(path);
    const bool card = node && (node->kind == NodeKind::dri_card || path.ends_with("-card"));
    return {path, path + (card ? ",gid=44" : ",mode=0666")};
}

} // namespace pvegpu
