#include "proxmox/guest_files.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/list_inside.hpp"
#include "machine/paths.hpp"
#include "proxmox/read_pve_file.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu {
namespace {

// It becomes part of a path, and came from the environment.
void check_node_name(const std::string& node)
{
    const bool good = !node.empty() && std::all_of(node.begin(), node.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!good)
        throw Error(Reason::invalid_config, "PVE_MIGRATED_FROM is not the name of a node: " + quote(node));
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
    return {Reason::not_found, "there is no guest " + std::to_string(request.vmid) +
                                   " on this node; looked for '" + vm + "' and '" + ct + "'"};
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
                    "Proxmox's cluster file system does not answer; see 'systemctl status pve-cluster'",
                    std::string(directory));
    constexpr std::string_view ending = ".conf";
    std::vector<unsigned> vmids;
    for (const auto& entry : parse_inside(outcome.text)) {
        const std::string_view name = entry.name;
        if (!name.ends_with(ending)) continue;
        if (const auto vmid = parse_vmid(name.substr(0, name.size() - ending.size()))) vmids.push_back(*vmid);
    }
    std::sort(vmids.begin(), vmids.end());
    return vmids;
}

GuestKind kind_of_guest(const SysReader& reader, const Request& request, Milliseconds answers_within)
{
    const auto [vm, ct] = paths_of(request);
    const auto as_vm = reader.read_within(vm, 1, answers_within);
    if (as_vm.done()) return GuestKind::vm;
    if (as_vm.still_running()) return GuestKind::unknown;
    const auto as_ct = reader.read_within(ct, 1, answers_within);
    if (as_ct.done()) return GuestKind::container;
    if (as_vm.error_number != ENOENT || as_ct.error_number != ENOENT) return GuestKind::unknown;
    throw no_such_guest(request);
}

std::string name_for_log(const SysReader& reader, const Request& request)
{
    // A word in the journal is worth no more; the run itself waits longer, and says what is wrong.
    constexpr Milliseconds answers_within{2'000};
    const auto number = std::to_string(request.vmid);
    try {
        const auto kind = kind_of_guest(reader, request, answers_within);
        if (kind == GuestKind::vm) return "VM " + number;
        if (kind == GuestKind::container) return "CT " + number;
    } catch (const Error&) { // the run itself says so
    }
    return "guest " + number;
}

} // namespace pvegpu
