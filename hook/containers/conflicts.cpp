#include "containers/conflicts.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/node_facts.hpp"
#include "machine/paths.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/lxc_config.hpp"
#include "usage/containers.hpp"
#include "usage/device_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Nothing where Proxmox's files do not answer: it is a warning only, and the VM's own file has just been
// read.
std::vector<WantedNode> wanted_by(const SysReader& reader, unsigned vmid)
{
    try {
        const auto file = read_guest_file(reader, {.vmid = vmid});
        if (file.kind == GuestKind::container) return wanted_nodes(read_lxc_config(reader, file.text));
    } catch (const Error&) { // see above
    }
    return {};
}

constexpr std::uint16_t amd = 0x1002, nvidia = 0x10de; // vendors

// How many GPUs there are, of all or of one vendor, while vfio-pci has every one of them; else 0.
std::size_t count_on_vfio(const std::vector<Function>& gpus, std::optional<std::uint16_t> vendor = {})
{
    std::size_t count = 0;
    for (const auto& gpu : gpus) {
        if (vendor && gpu.vendor != *vendor) continue;
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
    const auto add = [&](const std::string& name, std::size_t first, std::size_t count) {
        for (auto number = first; number < first + count; ++number)
            nodes.push_back(name + std::to_string(number));
    };
    if (!is_gpu(function)) return nodes;
    const auto gpus = list_gpus(reader);
    if (const auto count = count_on_vfio(gpus); count != 0) {
        add("/dev/dri/card", 0, count + 1);
        add("/dev/dri/renderD", first_render, count);
    }
    const auto of_vendor = count_on_vfio(gpus, function.vendor);
    if (function.vendor == nvidia && of_vendor != 0) {
        add("/dev/nvidia", 0, of_vendor);
        nodes.insert(nodes.end(),
                     {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"});
    }
    if (function.vendor == amd && of_vendor != 0) nodes.emplace_back("/dev/kfd");
    return nodes;
}

} // namespace

CardNodes nodes_of_function(const SysReader& reader, const Function& function)
{
    CardNodes card{function.address, {}};
    if (is_vfio_driver(function.driver)) {
        card.paths = nodes_from_vfio_only(reader, function);
        return card;
    }
    for (const auto& name : reader.list_directories(paths::function(function.address, "drm")))
        if (const auto path = "/dev/dri/" + name; parse_gpu_node(path)) card.paths.push_back(path);
    if (const auto minor = nvidia_minor(reader, function.address))
        card.paths.push_back("/dev/nvidia" + std::to_string(*minor));
    return card;
}

const WantedNode* node_of_card(const std::vector<WantedNode>& wanted, const CardNodes& card)
{
    return find_where(wanted, [&](const WantedNode& one) {
        const auto& node = one.node;
        const auto gives = [&](const std::string& path) {
            return node.path == path || (node.is_directory() && path.starts_with(node.path + '/'));
        };
        return node.address == card.function || std::ranges::any_of(card.paths, gives);
    });
}

std::vector<Advice> container_warnings(const SysReader& reader, const std::vector<Function>& leaving)
{
    const auto running = running_containers(reader);
    if (running.empty()) return {};
    std::vector<CardNodes> lost;
    for (const auto& function : leaving)
        if (!is_vfio_driver(function.driver)) // there it has none to lose
            if (auto card = nodes_of_function(reader, function); !card.paths.empty())
                lost.push_back(std::move(card));
    std::vector<Advice> warnings;
    for (const auto vmid : running) {
        if (lost.empty()) break;
        const auto wanted = wanted_by(reader, vmid);
        for (const auto& card : lost)
            if (const auto* given = node_of_card(wanted, card)) {
                warnings.push_back({"container " + std::to_string(vmid) + " is running and is given " +
                                        quote(given->node.path) + " of " + quote(card.function),
                                    "it loses the card to this VM until the VM has stopped and the container "
                                    "is started again"});
                break;
            }
    }
    return warnings;
}

} // namespace pvegpu
