#include "fuzz.hpp"
#include "gpu_nodes.hpp"
#include "kernel_devices.hpp"
#include "lxc_config.hpp"

using namespace pvegpu;

namespace {

// Becomes a path of the host.
void require_node(const GpuNode& node)
{
    fuzz::require(node.path.starts_with("/dev/") && node.path.find("..") == std::string::npos);
    fuzz::require_printable(node.path);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto config = parse_lxc_config(text);
    for (const auto& device : config.devices_at_next_start())
        fuzz::require(device.path.empty() == device.start_error.has_value());
    for (const auto& wanted : wanted_nodes(config, config.devices_at_next_start())) require_node(wanted.node);
    for (const auto& warning : config.warnings) fuzz::require_printable(warning.text);
    KernelDevices::parse(text);
    return 0;
}
