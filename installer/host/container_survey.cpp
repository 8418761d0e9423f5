#include "host/container_survey.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"
#include "proxmox/delegated_ids.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/storage_config.hpp"
#include "usage/containers.hpp"

namespace pvegpu {
namespace {

void add_mounted(const SysReader& reader, unsigned line, const std::string& path,
                 std::vector<MountedDevice>& mounted)
{
    if (const auto number = reader.device_number(path))
        mounted.push_back({line, path, *number, reader.file_facts(path).value_or(FileFacts{})});
}

// Below /dev only: other directories of the host may be of any size, and have no devices.
void add_mounts(const SysReader& reader, const std::vector<LxcMount>& mounts,
                std::vector<MountedDevice>& mounted)
{
    for (const auto& mount : mounts) {
        const auto source = mount.source.substr(0, mount.source.find_last_not_of('/') + 1);
        if (source != paths::dev && !source.starts_with(std::string(paths::dev) + "/")) continue;
        add_mounted(reader, mount.line, source, mounted);
        for (const auto& name : reader.list(source))
            add_mounted(reader, mount.line, paths::join(source, name), mounted);
        for (const auto& directory : reader.list_directories(source)) // of all of /dev
            for (const auto& name : reader.list(paths::join(source, directory)))
                add_mounted(reader, mount.line, paths::join(paths::join(source, directory), name), mounted);
    }
}

} // namespace

Inside look_at_container(const SysReader& reader, unsigned vmid, const LxcConfig& config,
                         const std::vector<WantedNode>& wanted, bool running)
{
    if (running) return look_inside(reader, vmid, wanted);
    const auto storages = parse_storages(read_pve_file(reader, paths::pve_storages).value_or(""));
    Inside inside;
    if (const auto root = tree_path(storages, config.rootfs)) inside.groups = groups_below(reader, *root);
    return inside;
}

ContainerSurvey survey_container(const SysReader& reader, unsigned vmid)
{
    const auto text = read_pve_file(reader, paths::ct_config(vmid));
    if (!text)
        throw Error(ErrorKind::not_found, {"there is no container " + std::to_string(vmid) + " on this node",
                                           "'pct list' shows those that are"});
    ContainerSurvey container;
    container.vmid = vmid;
    container.text = *text;
    container.package = installed_pve_container(reader);
    container.config = read_lxc_config(reader, *text);
    container.wanted = wanted_nodes(container.config, container.config.devices_at_next_start());
    const auto running = running_containers(reader);
    container.running = contains(running, vmid);
    container.inside = look_at_container(reader, vmid, container.config, container.wanted, container.running);
    container.host = read_node_host(reader, container.wanted, vmid);
    std::vector<std::string> paths{"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools",
                                   "/dev/nvidia-modeset", "/dev/kfd"};
    for (const auto& wanted : container.wanted) paths.push_back(wanted.node.path);
    for (const auto& name : reader.list("/dev/dri")) paths.push_back("/dev/dri/" + name);
    for (const auto& [path, number] : container.inside.devices) paths.push_back(path);
    for (const auto& gpu : container.host.gpus) {
        if (!gpu.nvidia) continue;
        paths.push_back("/dev/nvidia" + std::to_string(*gpu.nvidia));
        auto capabilities = mig_capabilities(reader, *gpu.nvidia);
        for (const auto& one : capabilities)
            paths.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(one.number));
        if (!capabilities.empty()) container.mig[gpu.address] = std::move(capabilities);
    }
    add_mounts(reader, container.config.mounts, container.mounted);
    add_mounts(reader, container.config.bind_points, container.mounted);
    for (const auto& device : container.mounted) paths.push_back(device.path);
    for (const auto& path : paths)
        if (const auto node = parse_gpu_node(path); node && node_is_there(reader, *node))
            container.host_nodes[path] = reader.device_number(path).value_or(DeviceNumber{});
    container.owners = read_node_owners(reader)[vmid];
    container.not_delegated = not_delegated(reader, container.config);
    for (const auto& device : container.config.devices_at_next_start())
        if (!device.path.empty() && !parse_gpu_node(device.path) && !reader.device_number(device.path))
            container.missing_devices.push_back(quote(device.path) + " (" + device.key + ")");
    return container;
}

} // namespace pvegpu
