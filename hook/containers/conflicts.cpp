#include "containers/conflicts.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/guest_files.hpp"
#include "usage/containers.hpp"
#include "usage/device_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

struct LostNode {
    PciAddress function;
    std::string path;
};

std::vector<LostNode> lost_nodes(const SysReader& reader, const std::vector<Function>& leaving)
{
    std::vector<LostNode> nodes;
    for (const auto& function : leaving)
        if (!is_vfio_driver(function.driver)) // there it has none to lose
            for (auto& path : nodes_of_function(reader, function))
                nodes.push_back({function.address, std::move(path)});
    return nodes;
}

// Nothing where Proxmox's files do not answer: it is a warning only, and the VM's own file has just been
// read.
std::vector<WantedNode> wanted_by(const SysReader& reader, unsigned vmid)
{
    try {
        const auto file = read_guest_file(reader, {.vmid = vmid});
        if (file.kind == GuestKind::container) return wanted_nodes(parse_lxc_config(file.text));
    } catch (const Error&) { // see above
    }
    return {};
}

bool is_amd(const Function& function)
{
    return function.vendor == 0x1002;
}

bool is_nvidia(const Function& function)
{
    return function.vendor == 0x10de;
}

std::vector<Function> gpus_of_host(const SysReader& reader)
{
    std::vector<Function> gpus;
    for (const auto& address : list_functions(reader)) {
        const auto code = reader.read(paths::function(address, "class")).value_or("");
        if (!code.starts_with("0x03") && !code.starts_with("0x12")) continue;
        if (auto function = read_function(reader, address)) gpus.push_back(std::move(*function));
    }
    return gpus;
}

std::vector<std::string> numbered(std::string_view name, std::size_t first, std::size_t count)
{
    std::vector<std::string> paths;
    for (auto number = first; number < first + count; ++number)
        paths.push_back(std::string(name) + std::to_string(number));
    return paths;
}

// How many GPUs of that kind there are, while vfio-pci has every one of them; else 0.
std::size_t count_on_vfio(const std::vector<Function>& gpus, bool (*is_of_kind)(const Function&))
{
    std::size_t count = 0;
    for (const auto& gpu : gpus) {
        if (!is_of_kind(gpu)) continue;
        if (!is_vfio_driver(gpu.driver)) return 0;
        ++count;
    }
    return count;
}

// On vfio-pci a card has no nodes. Those of a kind are its own for sure where no GPU that could have them is
// with a driver of the host. A card's number may be one higher: the firmware's screen had the first at boot.
std::vector<std::string> nodes_from_vfio_only(const SysReader& reader, const Function& function)
{
    constexpr std::size_t first_render = 128; // DRM_MINOR_RENDER in the kernel's drm_drv.c
    std::vector<std::string> nodes;
    if (!is_gpu(function)) return nodes;
    const auto gpus = gpus_of_host(reader);
    if (const auto all = count_on_vfio(gpus, is_gpu); all != 0) {
        append(nodes, numbered("/dev/dri/card", 0, all + 1));
        append(nodes, numbered("/dev/dri/renderD", first_render, all));
    }
    if (const auto nvidia = is_nvidia(function) ? count_on_vfio(gpus, is_nvidia) : 0; nvidia != 0) {
        append(nodes, numbered("/dev/nvidia", 0, nvidia));
        nodes.insert(nodes.end(),
                     {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"});
    }
    if (is_amd(function) && count_on_vfio(gpus, is_amd) != 0) nodes.emplace_back("/dev/kfd");
    return nodes;
}

bool names(const std::vector<WantedNode>& wanted, const LostNode& lost)
{
    return std::ranges::any_of(wanted, [&](const WantedNode& one) {
        return one.node.path == lost.path || one.node.address == lost.function;
    });
}

} // namespace

std::vector<std::string> nodes_of_function(const SysReader& reader, const Function& function)
{
    if (is_vfio_driver(function.driver)) return nodes_from_vfio_only(reader, function);
    std::vector<std::string> nodes;
    for (const auto& name : reader.list_directories(paths::function(function.address, "drm")))
        if (const auto path = "/dev/dri/" + name; parse_gpu_node(path)) nodes.push_back(path);
    if (const auto minor = nvidia_minor(reader, function.address))
        nodes.push_back("/dev/nvidia" + std::to_string(*minor));
    return nodes;
}

std::vector<Advice> container_warnings(const SysReader& reader, const std::vector<Function>& leaving)
{
    const auto running = running_containers(reader);
    if (running.empty()) return {};
    const auto lost = lost_nodes(reader, leaving);
    std::vector<Advice> warnings;
    for (const auto vmid : running) {
        if (lost.empty()) break;
        const auto wanted = wanted_by(reader, vmid);
        const auto found =
            std::ranges::find_if(lost, [&](const LostNode& one) { return names(wanted, one); });
        if (found != lost.end())
            warnings.push_back(
                {"container " + std::to_string(vmid) + " is running and is given '" + found->path + "' of " +
                     quote(found->function),
                 "it loses the card to this VM until the VM has stopped and the container is started again"});
    }
    return warnings;
}

} // namespace pvegpu
