#include "proxmox/guest_files.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/list_inside.hpp"
#include "machine/paths.hpp"
#include "proxmox/read_pve_file.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// It becomes part of a path, and came from the environment.
void check_node_name(const std::string& node)
{
    if (!is_node_name(node))
        throw Error(Reason::invalid_config, {"PVE_MIGRATED_FROM is not the name of a node: " + quote(node)});
}

struct Paths {
    std::string vm, ct;
};

Paths paths_of(const Request& request)
{
    const auto& [vmid, phase, node] = request;
    if (node.empty()) return {paths::vm_config(vmid), paths::ct_config(vmid)};
    check_node_name(node);
    return {paths::vm_config_on(node, vmid), paths::ct_config_on(node, vmid)};
}

Error no_such_guest(const Request& request)
{
    const auto [vm, ct] = paths_of(request);
    return {Reason::not_found,
            {"there is no guest " + std::to_string(request.vmid) + " on this node; looked for '" + vm +
             "' and '" + ct + "'"}};
}

} // namespace

GuestFile read_guest_file(const SysReader& reader, const Request& request)
{
    const auto [vm, ct] = paths_of(request);
    if (auto text = read_pve_file(reader, vm)) return {GuestKind::vm, vm, std::move(*text)};
    if (auto text = read_pve_file(reader, ct)) return {GuestKind::container, ct, std::move(*text)};
    throw no_such_guest(request);
}

std::vector<unsigned> list_guests(const SysReader& reader, std::string_view directory)
{
    const auto outcome = reader.list_inside("/", std::string(directory), "", pve_answers_within);
    if (outcome.still_running())
        throw Error(Reason::timed_out,
                    {"Proxmox's cluster file system does not answer", "see 'systemctl status pve-cluster'"},
                    std::string(directory));
    constexpr std::string_view ending = ".conf";
    std::vector<unsigned> vmids;
    for (const auto& entry : parse_inside(outcome.text)) {
        const std::string_view name = entry.name;
        if (!name.ends_with(ending)) continue;
        if (const auto vmid = parse_vmid(name.substr(0, name.size() - ending.size()))) vmids.push_back(*vmid);
    }
    std::ranges::sort(vmids);
    return vmids;
}

} // namespace pvegpu
