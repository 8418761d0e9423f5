#include "containers/node_facts.hpp"

#include "base/text.hpp"
#include "containers/nvidia_module.hpp"
#include "containers/nvidia_nodes.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "pci/topology.hpp"
#include "usage/device_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// "card1", "renderD128" below the function's drm directory
std::vector<unsigned> numbers_after(const std::vector<std::string>& names, std::string_view prefix)
{
    std::vector<unsigned> numbers;
    for (const auto& name : names)
        if (name.starts_with(prefix))
            if (const auto number = parse_decimal(std::string_view(name).substr(prefix.size())))
                numbers.push_back(*number);
    return numbers;
}

HostGpu read_gpu(const SysReader& reader, const Function& function, std::optional<unsigned> own_vmid)
{
    HostGpu gpu;
    gpu.address = function.address;
    gpu.id = device_id(function);
    gpu.driver = function.driver;
    gpu.on_vfio = is_vfio_driver(function.driver);
    gpu.modalias = trim(reader.read(paths::function(function.address, "modalias")).value_or(""));
    const auto drm = reader.list_directories(paths::function(function.address, "drm"));
    gpu.cards = numbers_after(drm, "card");
    gpu.renders = numbers_after(drm, "renderD");
    if (gpu.driver == "nvidia") gpu.nvidia = nvidia_minor(reader, function.address);
    if (gpu.on_vfio || gpu.driver.empty()) gpu.holders = find_holders(reader, {function}, own_vmid);
    return gpu;
}

// The major number that nodes of that kind must have; nothing where devtmpfs sees to it, 0 where no driver
// has one.
std::optional<unsigned> major_for(NodeKind kind, const KernelDevices& majors)
{
    using enum NodeKind;
    if (kind == nvidia_gpu || kind == nvidia_control || kind == nvidia_modeset)
        return majors.nvidia_major().value_or(0);
    if (kind == nvidia_uvm || kind == nvidia_uvm_tools) return majors.major_of("nvidia-uvm").value_or(0);
    return kind == nvidia_cap ? std::optional(majors.major_of("nvidia-caps").value_or(0)) : std::nullopt;
}

// NVIDIA's nodes are ordinary files of /dev: they outlive the driver, the card and the GPU instance that they
// were made for.
bool driver_is_behind(const GpuNode& node, const NodeHost& host)
{
    if (node.kind == NodeKind::nvidia_cap)
        return !host.capabilities || host.capabilities->contains(node.number.value_or(0));
    if (node.kind != NodeKind::nvidia_gpu) return true;
    return std::ranges::any_of(host.gpus, [&](const HostGpu& gpu) {
        const bool unknown = gpu.driver == "nvidia" && !gpu.nvidia; // its driver does not answer
        return unknown || gpu.nvidia == node.number;
    });
}

// Of the capabilities only those of MIG instances are for containers: the others are root's.
bool is_for_containers(const GpuNode& node, const NodeHost& host)
{
    if (node.kind != NodeKind::nvidia_cap) return true;
    if (!host.capabilities) return false;
    const auto file = host.capabilities->find(node.number.value_or(0));
    return file != host.capabilities->end() && is_mig_access(file->second);
}

std::optional<FileFacts> rights_of(const SysReader& reader, const GpuNode& node, const NodeHost& host)
{
    if (!node.is_directory()) return reader.file_facts(node.path);
    for (const auto& name : reader.list(node.path))
        if (const auto below = parse_gpu_node(paths::join(node.path, name));
            below && is_for_containers(*below, host))
            return reader.file_facts(below->path);
    return std::nullopt;
}

bool any_nvidia(const std::vector<HostGpu>& gpus)
{
    return std::ranges::any_of(gpus, [](const HostGpu& gpu) { return gpu.is_nvidia(); });
}

std::string nodes_line(const SysReader& reader)
{
    std::vector<std::string> nodes;
    for (const std::string directory : {"/dev", "/dev/dri", "/dev/nvidia-caps"})
        for (const auto& name : reader.list(directory)) {
            const auto path = paths::join(directory, name);
            const auto node = parse_gpu_node(path);
            if (!node || node->is_directory()) continue;
            const auto number = reader.device_number(path);
            nodes.push_back(path.substr(paths::dev.size() + 1) +
                            (number ? " " + to_string(*number) : " (no device)"));
        }
    return "host: /dev has " + (nodes.empty() ? "no device node of a GPU" : join(nodes, ", "));
}

std::string majors_line(const SysReader& reader)
{
    std::vector<std::string> majors;
    const auto devices = read_kernel_devices(reader);
    for (const auto& [major, name] : devices.all())
        if (name.starts_with("nvidia") || name == "drm" || name == "kfd")
            majors.push_back(printable(name) + " " + std::to_string(major));
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

bool is_mig_access(const std::string& capability_file)
{
    return last_name(capability_file) == "access";
}

bool node_is_there(const SysReader& reader, const GpuNode& node)
{
    if (node.is_directory()) return !reader.list(node.path).empty();
    const auto number = reader.device_number(node.path);
    if (!number || number->block) return false;
    const auto major = major_for(node.kind, read_kernel_devices(reader));
    return !major || *major == number->major;
}

std::vector<std::string> HostGpu::nodes() const
{
    std::vector<std::string> paths;
    for (const auto number : renders) paths.push_back("/dev/dri/renderD" + std::to_string(number));
    for (const auto number : cards) paths.push_back("/dev/dri/card" + std::to_string(number));
    if (nvidia) paths.push_back("/dev/nvidia" + std::to_string(*nvidia));
    return paths;
}

std::vector<Function> list_gpus(const SysReader& reader)
{
    std::vector<Function> gpus;
    for (const auto& address : list_functions(reader)) {
        const auto code = reader.read(paths::function(address, "class")).value_or("");
        if (!code.starts_with("0x03") && !code.starts_with("0x12")) continue;
        if (auto function = read_function(reader, address)) gpus.push_back(std::move(*function));
    }
    return gpus;
}

std::vector<HostGpu> read_host_gpus(const SysReader& reader, std::optional<unsigned> own_vmid)
{
    std::vector<HostGpu> gpus;
    for (const auto& function : list_gpus(reader)) gpus.push_back(read_gpu(reader, function, own_vmid));
    return gpus;
}

std::vector<NodeFacts> read_nodes(const SysReader& reader, const std::vector<WantedNode>& wanted,
                                  const NodeHost& host)
{
    std::vector<NodeFacts> nodes;
    nodes.reserve(wanted.size());
    for (const auto& one : wanted)
        nodes.push_back({one, reader.device_number(one.node.path),
                         node_is_there(reader, one.node) && driver_is_behind(one.node, host),
                         rights_of(reader, one.node, host)});
    return nodes;
}

NodeHost read_node_host(const SysReader& reader, const std::vector<WantedNode>& wanted,
                        std::optional<unsigned> own_vmid)
{
    NodeHost vm_facts;
    vm_facts.gpus = read_host_gpus(reader, own_vmid);
    vm_facts.majors = read_kernel_devices(reader);
    vm_facts.nvidia_modprobe = reader.exists(std::string(paths::nvidia_modprobe_program));
    for (const auto* module : {"nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm"})
        if (reader.exists(paths::join(paths::modules, module))) vm_facts.modules.insert(module);
    if (any_nvidia(vm_facts.gpus) && !vm_facts.modules.contains("nvidia"))
        vm_facts.no_nvidia_module = no_nvidia_module(reader);
    const bool capabilities = std::ranges::any_of(wanted, [](const WantedNode& one) {
        return one.node.kind == NodeKind::nvidia_cap || one.node.kind == NodeKind::nvidia_caps;
    });
    if (capabilities && reader.exists(std::string(paths::nvidia_capabilities)))
        vm_facts.capabilities = capability_files(reader);
    vm_facts.nodes = read_nodes(reader, wanted, vm_facts);
    return vm_facts;
}

std::string nvidia_module_version(const SysReader& reader)
{
    return trim(reader.read(std::string(paths::nvidia_module_version)).value_or(""));
}

std::vector<std::string> state_of_nodes(const SysReader& reader)
{
    std::vector<std::string> lines{nodes_line(reader), majors_line(reader), modules_line(reader)};
    const auto gpus = read_host_gpus(reader, std::nullopt);
    for (const auto& gpu : gpus) lines.push_back(gpu_line(gpu));
    if (any_nvidia(gpus)) lines.push_back(persistence_line(reader));
    return lines;
}

} // namespace pvegpu
