#include "host/container_survey.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"
#include "usage/containers.hpp"

namespace pvegpu {
namespace {

void add_node(const SysReader& reader, const std::string& path, ContainerSurvey& container)
{
    if (const auto node = parse_gpu_node(path); node && node_is_there(reader, *node))
        container.host_nodes.insert(path);
}

void survey_nvidia(const SysReader& reader, const HostGpu& gpu, ContainerSurvey& container)
{
    add_node(reader, "/dev/nvidia" + std::to_string(*gpu.nvidia), container);
    auto capabilities = mig_capabilities(reader, *gpu.nvidia);
    for (const auto& one : capabilities)
        add_node(reader, "/dev/nvidia-caps/nvidia-cap" + std::to_string(one.number), container);
    if (!capabilities.empty()) container.mig[gpu.address] = std::move(capabilities);
}

} // namespace

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
    for (const auto* path :
         {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/kfd"})
        add_node(reader, path, container);
    for (const auto& wanted : container.wanted) add_node(reader, wanted.node.path, container);
    for (const auto& gpu : container.gpus)
        if (gpu.nvidia) survey_nvidia(reader, gpu, container);
    container.majors = read_kernel_devices(reader);
    container.nvidia_modprobe = reader.exists(std::string(paths::nvidia_modprobe_program));
    return container;
}

std::vector<std::string> restart_reasons(const Inside& inside)
{
    std::vector<std::string> reasons;
    for (const auto* node : missing_inside(inside))
        reasons.push_back("'" + node->wanted.node.path + "' (" + node->wanted.from + ") " +
                          (node->inside ? "has another number in it than on the host" : "is not in it"));
    return reasons;
}

} // namespace pvegpu
