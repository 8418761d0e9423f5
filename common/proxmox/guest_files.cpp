#include "proxmox/guest_files.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/list_inside.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu {
namespace {

Error no_answer(std::string_view path)
{
    return {ErrorKind::timed_out,
            {"Proxmox's cluster file system does not answer", "see 'systemctl status pve-cluster'"},
            std::string(path)};
}

std::string version_of(const SysReader& reader, std::string_view package)
{
    return package_version(reader.read(std::string(paths::dpkg_status)).value_or(""), package);
}

} // namespace

Error not_mounted()
{
    return {ErrorKind::failed,
            {"Proxmox's cluster file system is not mounted", "see 'systemctl status pve-cluster'"},
            std::string(paths::pve)};
}

std::optional<std::string> read_pve_file(const SysReader& reader, std::string_view path)
{
    const std::string file(path);
    const auto outcome = reader.read_within(file, pve_file_bytes, pve_answers_within);
    if (outcome.done()) return outcome.text;
    if (outcome.still_running()) throw no_answer(path);
    if (outcome.error_number == ENOENT || outcome.error_number == ENOTDIR) return std::nullopt;
    throw Error(ErrorKind::failed,
                {"Proxmox's cluster file system refuses this file", "see 'systemctl status pve-cluster'"},
                file, outcome.error_number);
}

std::string node_name(const SysReader& reader)
{
    const auto name = reader.read(std::string(paths::host_name)).value_or("");
    return name.substr(0, name.find_first_of(".\n"));
}

GuestFile read_guest_file(const SysReader& reader, const Request& request)
{
    const auto& [vmid, phase, node, instance] = request;
    if (!node.empty() && !is_node_name(node)) // it becomes part of a path, and came from the environment
        throw Error(ErrorKind::invalid_config,
                    {"PVE_MIGRATED_FROM is not the name of a node: " + quote(node)});
    const auto vm = paths::vm_config(vmid, node), ct = paths::ct_config(vmid, node);
    if (auto text = read_pve_file(reader, vm)) return {GuestKind::vm, vm, std::move(*text)};
    if (auto text = read_pve_file(reader, ct)) return {GuestKind::container, ct, std::move(*text)};
    if (!reader.exists(std::string(paths::pve_vm_configs))) // pmxcfs makes the link, guests or not
        throw not_mounted();
    throw Error(ErrorKind::not_found, {"there is no guest " + std::to_string(vmid) +
                                       " on this node; looked for '" + vm + "' and '" + ct + "'"});
}

GuestConfig read_guest_config(const SysReader& reader, std::string_view text)
{
    auto config = parse_guest_config(text);
    if (std::ranges::none_of(config.hostpci, &HostPci::names_driver)) return config;
    return parse_guest_config(text, installed_qemu_server(reader));
}

LxcConfig read_lxc_config(const SysReader& reader, std::string_view text)
{
    auto config = parse_lxc_config(text);
    if (config.devices.empty() && config.pending.empty()) return config;
    return parse_lxc_config(text, installed_pve_container(reader));
}

QemuServer installed_qemu_server(const SysReader& reader)
{
    return {version_of(reader, "qemu-server")};
}

PveContainer installed_pve_container(const SysReader& reader)
{
    return {version_of(reader, "pve-container")};
}

bool is_proxmox_host(const SysReader& reader)
{
    return !version_of(reader, "pve-manager").empty();
}

std::string package_version(std::string_view dpkg_status, std::string_view package)
{
    bool in_it = false, installed = false;
    for (LineReader lines(dpkg_status); lines.next();) {
        const auto pair = split_once(lines.line(), ':');
        if (!pair) continue;
        const auto value = trim(pair->second);
        if (pair->first == "Package") in_it = value == package;
        if (pair->first == "Status") installed = value.ends_with(" installed");
        if (in_it && installed && pair->first == "Version") return std::string(value);
    }
    return "";
}

std::vector<unsigned> list_guests(const SysReader& reader, std::string_view directory)
{
    const auto outcome = reader.list_inside("/", std::string(directory), "", pve_answers_within);
    if (outcome.still_running()) throw no_answer(directory);
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
