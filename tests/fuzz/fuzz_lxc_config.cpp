#include "containers/node_plan.hpp"
#include "fuzz.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/lxc_config.hpp"
#include "usage/kernel_devices.hpp"

using namespace pvegpu;

namespace {

// Becomes a path of the host.
void require_node(const GpuNode& node)
{
    fuzz::require(node.path.starts_with("/dev/") && node.path.find("..") == std::string::npos);
    fuzz::require_printable(node.path);
}

// A GPU of each kind that a node can be of: of a VM, of the host, of nobody.
NodeHost host_with(std::vector<NodeFacts> nodes)
{
    NodeHost host;
    host.nodes = std::move(nodes);
    host.gpus.resize(4);
    host.gpus[0].id = "8086:56a6";
    host.gpus[0].driver = "vfio-pci";
    host.gpus[0].on_vfio = true;
    host.gpus[0].holders.resize(1);
    host.gpus[1].id = "1002:73df";
    host.gpus[1].driver = "amdgpu";
    host.gpus[1].cards = {1};
    host.gpus[1].renders = {128};
    host.gpus[2].id = "10de:2204";
    host.gpus[2].driver = "nvidia";
    host.gpus[2].nvidia = 0;
    host.gpus[3].id = "10de:2684";
    return host;
}

// Whatever a container asks for, the answer is found at once, and can be printed.
void require_plan(const LxcConfig& config)
{
    std::vector<NodeFacts> nodes;
    for (const auto& wanted : wanted_nodes(config, config.devices_at_next_start()))
        nodes.push_back({wanted, std::nullopt, false, std::nullopt});
    const auto plan = make_container_plan({901, config, {}, {}}, host_with(nodes), Settings());
    for (const auto& warning : plan.warnings) fuzz::require_printable(to_string(warning));
    if (plan.refused) fuzz::require_printable(to_string(plan.refused->advice));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto config = parse_lxc_config(text);
    for (const auto& device : config.devices_at_next_start())
        fuzz::require(device.path.empty() == device.start_error.has_value());
    for (const auto& wanted : wanted_nodes(config, config.devices_at_next_start())) require_node(wanted.node);
    for (const auto& warning : config.warnings) fuzz::require_printable(to_string(warning.advice));
    require_plan(config);
    KernelDevices::parse(text);
    return 0;
}
