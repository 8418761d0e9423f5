#include "host/node_owners.hpp"

#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

const HostGpu* gpu_with(const std::string& path, const std::vector<HostGpu>& gpus)
{
    return find_where(gpus, [&](const HostGpu& gpu) { return contains(gpu.nodes(), path); });
}

NodeOwners owners_in(const Json& guest)
{
    NodeOwners owners;
    const auto found = guest.find("owners");
    if (found == guest.end()) return owners;
    for (const auto& [path, address] : found->items())
        if (const auto gpu = parse_pci_address(address.get<std::string>())) owners[path] = *gpu;
    return owners;
}

// Proxmox follows the link when it looks at the device (stat in get_device_mode_and_rdev of LXC/Tools.pm) and
// makes the node in the container by the link's own path. What is told its device takes it; what searches
// /dev/dri itself, as libdrm does, does not find it there.
std::string name_that_stays(const HostGpu& gpu, const GpuNode& node)
{
    if (node.is_nvidia()) return "";
    return "'/dev/dri/by-path/pci-" + to_string(gpu.address) +
           (node.kind == NodeKind::dri_card ? "-card" : "-render") +
           "' stays the same, for a program that can be told the path of its device";
}

} // namespace

std::map<unsigned, NodeOwners> read_node_owners(const SysReader& reader)
{
    std::map<unsigned, NodeOwners> all;
    const auto text = reader.read(std::string(paths::install_manifest)).value_or("");
    try {
        if (text.empty()) return all;
        const auto manifest = Json::parse(text);
        for (const auto& guest : manifest.at("guests"))
            all[guest.at("vmid").get<unsigned>()] = owners_in(guest);
    } catch (const Json::exception&) { // whoever changes something says that it is damaged
    }
    return all;
}

NodeOwners owners_of(const std::vector<std::string>& paths, const std::vector<HostGpu>& gpus)
{
    NodeOwners owners;
    for (const auto& path : paths)
        if (const auto* gpu = gpu_with(path, gpus)) owners[path] = gpu->address;
    return owners;
}

std::vector<MovedNode> moved_nodes(const NodeOwners& owners, const std::vector<WantedNode>& wanted,
                                   const std::vector<HostGpu>& gpus)
{
    std::vector<MovedNode> moved;
    for (const auto& one : wanted) {
        const auto meant = owners.find(one.node.path);
        const auto* now = gpu_with(one.node.path, gpus);
        if (!one.by_proxmox || meant == owners.end() || now == nullptr || now->address == meant->second)
            continue;
        const auto* gpu =
            find_where(gpus, [&](const HostGpu& other) { return other.address == meant->second; });
        if (gpu == nullptr) continue;
        std::string instead;
        for (const auto& path : gpu->nodes())
            if (parse_gpu_node(path)->kind == one.node.kind) instead = path;
        const bool is_given = std::ranges::any_of(wanted, [&](const WantedNode& other) {
            return other.node.path == instead || other.node.address == gpu->address;
        });
        if (is_given) continue;
        moved.push_back({one,
                         "it was of " + quote(gpu->address) + " when the container was given it, and is of " +
                             quote(now->address) + " now" +
                             (instead.empty() ? "" : ": the other has " + quote(instead)),
                         instead, name_that_stays(*gpu, one.node)});
    }
    return moved;
}

} // namespace pvegpu
