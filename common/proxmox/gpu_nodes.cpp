#include "proxmox/gpu_nodes.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

struct Prefix {
    std::string_view text;
    NodeKind kind;
};

constexpr std::array numbered{
    Prefix{"/dev/nvidia", NodeKind::nvidia_gpu}, Prefix{"/dev/nvidia-caps/nvidia-cap", NodeKind::nvidia_cap},
    Prefix{"/dev/nvidia-nvswitch", NodeKind::nvidia_other}, Prefix{"/dev/dri/card", NodeKind::dri_card},
    Prefix{"/dev/dri/renderD", NodeKind::dri_render}};

constexpr std::array plain{Prefix{"/dev/nvidiactl", NodeKind::nvidia_control},
                           Prefix{"/dev/nvidia-modeset", NodeKind::nvidia_modeset},
                           Prefix{"/dev/nvidia-uvm", NodeKind::nvidia_uvm},
                           Prefix{"/dev/nvidia-uvm-tools", NodeKind::nvidia_uvm_tools},
                           Prefix{"/dev/nvidia-caps", NodeKind::nvidia_caps},
                           Prefix{"/dev/nvidia-nvlink", NodeKind::nvidia_other},
                           Prefix{"/dev/nvidia-nvswitchctl", NodeKind::nvidia_other},
                           Prefix{"/dev/dri", NodeKind::dri},
                           Prefix{"/dev/kfd", NodeKind::kfd}};

// "/dev/dri/by-path/pci-0000:03:00.0-render", as systemd's 60-drm.rules name it.
std::optional<GpuNode> parse_by_path(std::string_view path)
{
    constexpr std::string_view prefix = "/dev/dri/by-path/pci-";
    if (!path.starts_with(prefix)) return std::nullopt;
    const auto name = path.substr(prefix.size());
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto address = parse_pci_address(name.substr(0, dash));
    const auto ending = name.substr(dash);
    if (!address || (ending != "-render" && ending != "-card")) return std::nullopt;
    return GpuNode{std::string(path), NodeKind::dri_by_path, std::nullopt, address};
}

std::string_view without_slashes_at_the_end(std::string_view path)
{
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    return path;
}

void add(std::vector<WantedNode>& list, WantedNode wanted)
{
    const bool known = std::ranges::any_of(
        list, [&](const WantedNode& other) { return other.node.path == wanted.node.path; });
    if (!known) list.push_back(std::move(wanted));
}

} // namespace

std::optional<GpuNode> parse_gpu_node(std::string_view path)
{
    path = without_slashes_at_the_end(path);
    for (const auto& [text, kind] : plain)
        if (path == text) return GpuNode{std::string(path), kind, std::nullopt, std::nullopt};
    for (const auto& [text, kind] : numbered) {
        if (!path.starts_with(text)) continue;
        const auto number = parse_decimal(path.substr(text.size()));
        if (number && std::to_string(*number) == path.substr(text.size()))
            return GpuNode{std::string(path), kind, number, std::nullopt};
    }
    return parse_by_path(path);
}

std::vector<WantedNode> wanted_nodes(const LxcConfig& config, const std::vector<LxcDevice>& devices)
{
    std::vector<WantedNode> list;
    for (const auto& device : devices)
        if (const auto node = parse_gpu_node(device.path))
            add(list, {*node, device.key, device.path, device.line, false, true});
    for (const auto& mount : config.mounts)
        if (const auto node = parse_gpu_node(mount.source))
            add(list, {*node, "lxc.mount.entry", "/" + mount.target, mount.line, mount.optional, false});
    return list;
}

std::vector<WantedNode> wanted_nodes(const LxcConfig& config)
{
    return wanted_nodes(config, config.devices);
}

} // namespace pvegpu
