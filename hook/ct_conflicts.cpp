#include "ct_conflicts.hpp"

#include "containers.hpp"
#include "device_files.hpp"
#include "paths.hpp"
#include "situation.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

struct LostNode {
    PciAddress function;
    std::string path;
};

std::vector<LostNode> lost_nodes(const SysReader& reader, const Plan& plan)
{
    std::vector<LostNode> nodes;
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (function.to_vfio)
                for (auto& path : nodes_of_function(reader, function.facts))
                    nodes.push_back({function.address(), std::move(path)});
    return nodes;
}

// Nothing where Proxmox's files do not answer: it is a warning only, and the VM's own file has just been
// read.
std::vector<WantedNode> wanted_by(const SysReader& reader, unsigned vmid)
{
    Situation guest;
    guest.request.vmid = vmid;
    try {
        may_have_a_gpu(reader, guest);
    } catch (const Error&) {
        return {};
    }
    return guest.wanted;
}

bool names(const std::vector<WantedNode>& wanted, const LostNode& lost)
{
    return std::any_of(wanted.begin(), wanted.end(), [&](const WantedNode& one) {
        return one.node.path == lost.path || one.node.address == lost.function;
    });
}

} // namespace

std::vector<std::string> nodes_of_function(const SysReader& reader, const Function& function)
{
    std::vector<std::string> nodes;
    if (is_vfio_driver(function.driver)) return nodes;
    for (const auto& name : reader.list_directories(paths::function(function.address, "drm")))
        if (const auto path = "/dev/dri/" + name; parse_gpu_node(path)) nodes.push_back(path);
    if (const auto minor = nvidia_minor(reader, function.address))
        nodes.push_back("/dev/nvidia" + std::to_string(*minor));
    return nodes;
}

std::vector<std::string> container_warnings(const SysReader& reader, const Plan& plan)
{
    const auto running = running_containers(reader);
    if (running.empty()) return {};
    const auto lost = lost_nodes(reader, plan);
    std::vector<std::string> warnings;
    for (const auto vmid : running) {
        if (lost.empty()) break;
        const auto wanted = wanted_by(reader, vmid);
        const auto found =
            std::find_if(lost.begin(), lost.end(), [&](const LostNode& one) { return names(wanted, one); });
        if (found != lost.end())
            warnings.push_back("container " + std::to_string(vmid) + " is running and is given '" +
                               found->path + "' of '" + to_string(found->function) +
                               "'; it loses the card to this VM until the VM has stopped and the container "
                               "is started again");
    }
    return warnings;
}

} // namespace pvegpu
