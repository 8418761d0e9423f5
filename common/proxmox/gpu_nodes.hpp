// The device nodes of GPUs, by their names, and which of them a container's configuration asks for. Pure.
#pragma once

#include "base/pci_address.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct LxcConfig; // proxmox/lxc_config.hpp
struct LxcDevice; // proxmox/lxc_config.hpp

enum class NodeKind {
    nvidia_gpu,       // /dev/nvidiaN
    nvidia_control,   // /dev/nvidiactl
    nvidia_modeset,   // /dev/nvidia-modeset
    nvidia_uvm,       // /dev/nvidia-uvm
    nvidia_uvm_tools, // /dev/nvidia-uvm-tools
    nvidia_cap,       // /dev/nvidia-caps/nvidia-capN
    nvidia_caps,      // /dev/nvidia-caps, the directory
    nvidia_other,     // nvlink, nvswitch: of machines that nobody runs such containers on; waited for only
    dri_card,         // /dev/dri/cardN
    dri_render,       // /dev/dri/renderDN
    dri_by_path,      // /dev/dri/by-path/pci-0000:03:00.0-render
    dri,              // /dev/dri, the directory
    kfd               // /dev/kfd, AMD's compute
};

struct GpuNode {
    std::string path;
    NodeKind kind = NodeKind::nvidia_control;
    std::optional<unsigned> number;    // the N
    std::optional<PciAddress> address; // of dri_by_path

    bool is_nvidia() const { return kind <= NodeKind::nvidia_other; }
    bool is_uvm() const { return kind == NodeKind::nvidia_uvm || kind == NodeKind::nvidia_uvm_tools; }
    bool is_directory() const { return kind == NodeKind::nvidia_caps || kind == NodeKind::dri; }
    bool is_render() const
    {
        return kind == NodeKind::dri_render || (kind == NodeKind::dri_by_path && path.ends_with("-render"));
    }
};

// Nothing for a path that is no GPU's. What is recognised has letters, digits and "-:./" only.
std::optional<GpuNode> parse_gpu_node(std::string_view path);

struct WantedNode {
    GpuNode node;
    std::string from;        // "dev0", "lxc.mount.entry"
    std::string in_guest;    // its path in the container
    unsigned line = 0;       // of the configuration
    bool optional = false;   // the container starts without it
    bool by_proxmox = false; // a devN: Proxmox needs the node before it calls the hook
};

// devN first, in the order of N, then the mounts in the order of the file; each path once.
std::vector<WantedNode> wanted_nodes(const LxcConfig& config, const std::vector<LxcDevice>& devices);
std::vector<WantedNode> wanted_nodes(const LxcConfig& config); // of the live section

} // namespace pvegpu
