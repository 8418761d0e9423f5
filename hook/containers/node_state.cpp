#include "containers/node_state.hpp"

#include "base/text.hpp"
#include "containers/node_facts.hpp"
#include "machine/paths.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "usage/kernel_devices.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::string node_text(const SysReader& reader, const std::string& path)
{
    const auto number = reader.device_number(path);
    const auto name = path.substr(std::string(paths::dev).size() + 1);
    if (!number) return printable(name) + " (no device)";
    return printable(name) + " " + std::to_string(number->major) + ":" + std::to_string(number->minor);
}

std::string nodes_line(const SysReader& reader)
{
    std::vector<std::string> nodes;
    for (const std::string directory : {"/dev", "/dev/dri", "/dev/nvidia-caps"})
        for (const auto& name : reader.list(directory)) {
            const auto path = paths::join(directory, name);
            const auto node = parse_gpu_node(path);
            if (node && !node->is_directory()) nodes.push_back(node_text(reader, path));
        }
    return "host: /dev has " + (nodes.empty() ? "no node of a GPU" : join(nodes, ", "));
}

bool is_a_gpus(const std::string& name)
{
    return name.starts_with("nvidia") || name == "drm" || name == "kfd";
}

std::string majors_line(const SysReader& reader)
{
    std::vector<std::string> majors;
    const auto devices = read_kernel_devices(reader);
    for (const auto& [major, name] : devices.all())
        if (is_a_gpus(name)) majors.push_back(printable(name) + " " + std::to_string(major));
    return "host: major numbers: " + (majors.empty() ? "none of a GPU's driver" : join(majors, ", "));
}

std::string modules_line(const SysReader& reader)
{
    std::vector<std::string> loaded;
    for (const auto* module :
         {"nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm", "nouveau", "i915", "xe", "amdgpu"})
        if (reader.exists(paths::join(paths::modules, module))) loaded.emplace_back(module);
    const auto version = nvidia_module_version(reader);
    return "host: modules: " + (loaded.empty() ? "no GPU driver is loaded" : join(loaded, ", ")) +
           (version.empty() ? "" : " (nvidia is version " + printable(version) + ")");
}

std::string gpu_line(const HostGpu& gpu)
{
    const auto driver = gpu.driver.empty() ? std::string("no driver") : "driver " + quote(gpu.driver);
    const auto user = gpu.holders.empty() ? "" : ", used by " + describe(gpu.holders.front());
    return "host: GPU " + quote(gpu.address) + " (" + gpu.id + ") has " + driver + user;
}

std::string persistence_line(const SysReader& reader)
{
    const auto text = reader.read(std::string(paths::nvidia_persistence)).value_or("");
    const auto pid = parse_decimal(trim(text));
    const bool runs = pid && reader.exists(paths::process(static_cast<pid_t>(*pid)));
    return std::string("host: nvidia-persistenced ") + (runs ? "runs" : "does not run");
}

} // namespace

std::string nvidia_module_version(const SysReader& reader)
{
    return trim(reader.read(std::string(paths::nvidia_module_version)).value_or(""));
}

std::vector<std::string> state_of_nodes(const SysReader& reader)
{
    std::vector<std::string> lines{nodes_line(reader), majors_line(reader), modules_line(reader)};
    const auto gpus = read_host_gpus(reader, std::nullopt);
    for (const auto& gpu : gpus) lines.push_back(gpu_line(gpu));
    if (std::ranges::any_of(gpus, [](const HostGpu& gpu) { return gpu.is_nvidia(); }))
        lines.push_back(persistence_line(reader));
    return lines;
}

} // namespace pvegpu
