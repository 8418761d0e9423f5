#include "proxmox/gpu_nodes.hpp"

#include "base/enum_names.hpp"
#include "base/text.hpp"
#include "proxmox/lxc_config.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

constexpr std::array numbered{EnumName{"/dev/nvidia", NodeKind::nvidia_gpu},
                              EnumName{"/dev/nvidia-caps/nvidia-cap", NodeKind::nvidia_cap},
                              EnumName{"/dev/nvidia-nvswitch", NodeKind::nvidia_other},
                              EnumName{"/dev/dri/card", NodeKind::dri_card},
                              EnumName{"/dev/dri/renderD", NodeKind::dri_render}};

constexpr std::array plain{EnumName{"/dev/nvidiactl", NodeKind::nvidia_control},
                           EnumName{"/dev/nvidia-modeset", NodeKind::nvidia_modeset},
                           EnumName{"/dev/nvidia-uvm", NodeKind::nvidia_uvm},
                           EnumName{"/dev/nvidia-uvm-tools", NodeKind::nvidia_uvm_tools},
                           EnumName{"/dev/nvidia-caps", NodeKind::nvidia_caps},
                           EnumName{"/dev/nvidia-nvlink", NodeKind::nvidia_other},
                           EnumName{"/dev/nvidia-nvswitchctl", NodeKind::nvidia_other},
                           EnumName{"/dev/dri", NodeKind::dri},
                           EnumName{"/dev/kfd", NodeKind::kfd}};

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

void add(std::vector<WantedNode>& list, WantedNode wanted)
{
    const bool known = std::ranges::any_of(
        list, [&](const WantedNode& other) { return other.node.path == wanted.node.path; });
    if (!known) list.push_back(std::move(wanted));
}

} // namespace

std::optional<GpuNode> parse_gpu_node(std::string_view path)
{
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    if (const auto* const known = find_name(plain, path); known != plain.end())
        return GpuNode{std::string(path), known->value, std::nullopt, std::nullopt};
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
