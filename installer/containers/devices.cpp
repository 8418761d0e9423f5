#include "containers/devices.hpp"

namespace pvegpu {
namespace {

std::vector<std::string> nvidia_paths_of(const HostGpu& gpu, const ContainerSurvey& host)
{
    std::vector<std::string> paths{"/dev/nvidia" + std::to_string(*gpu.nvidia), "/dev/nvidiactl",
                                   "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"};
    if (host.host_nodes.contains("/dev/nvidia-modeset")) paths.emplace_back("/dev/nvidia-modeset");
    if (const auto mig = host.mig.find(gpu.address); mig != host.mig.end())
        for (const auto& instance : mig->second)
            paths.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(instance.number));
    return paths;
}

} // namespace

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

std::vector<std::string> dri_paths_of(const HostGpu& gpu)
{
    std::vector<std::string> paths;
    for (const auto number : gpu.renders) paths.push_back("/dev/dri/renderD" + std::to_string(number));
    for (const auto number : gpu.cards) paths.push_back("/dev/dri/card" + std::to_string(number));
    return paths;
}

std::vector<std::string> node_paths_of(const HostGpu& gpu, const ContainerSurvey& host)
{
    if (gpu.nvidia) return nvidia_paths_of(gpu, host);
    auto paths = dri_paths_of(gpu);
    if (gpu.is_amd() && host.host_nodes.contains("/dev/kfd")) paths.emplace_back("/dev/kfd");
    return paths;
}

} // namespace pvegpu
