#include "host/container_survey.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"
#include "usage/containers.hpp"

namespace pvegpu {
ContainerSurvey survey_container(const SysReader& reader, unsigned vmid)
{
    const auto text = read_pve_file(reader, paths::ct_config(vmid));
    if (!text)
        throw Error(Reason::not_found, {"there is no container " + std::to_string(vmid) + " on this node",
                                        "'pct list' shows those that are"});
    ContainerSurvey container;
    container.vmid = vmid;
    container.text = *text;
    container.config = parse_lxc_config(*text);
    container.wanted = wanted_nodes(container.config, container.config.devices_at_next_start());
    const auto running = running_containers(reader);
    container.running = contains(running, vmid);
    if (container.running) container.inside = look_inside(reader, vmid, container.wanted);
    container.gpus = read_host_gpus(reader, vmid);
    std::vector<std::string> paths{"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools",
                                   "/dev/nvidia-modeset", "/dev/kfd"};
    for (const auto& wanted : container.wanted) paths.push_back(wanted.node.path);
    for (const auto& gpu : container.gpus) {
        if (!gpu.nvidia) continue;
        paths.push_back("/dev/nvidia" + std::to_string(*gpu.nvidia));
        auto capabilities = mig_capabilities(reader, *gpu.nvidia);
        for (const auto& one : capabilities)
            paths.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(one.number));
        if (!capabilities.empty()) container.mig[gpu.address] = std::move(capabilities);
    }
    for (const auto& path : paths)
        if (const auto node = parse_gpu_node(path); node && node_is_there(reader, *node))
            container.host_nodes.insert(path);
    container.majors = read_kernel_devices(reader);
    container.nvidia_modprobe = reader.exists(std::string(paths::nvidia_modprobe_program));
    return container;
}

} // namespace pvegpu
