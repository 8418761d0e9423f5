#include "proxmox/named_devices.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/guest_files.hpp"
#include "usage/device_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

PciMappings read_mappings(const SysReader& reader, const GuestConfig& config)
{
    if (std::ranges::none_of(config.hostpci, [](const HostPci& line) { return line.mapping.has_value(); }))
        return {};
    return parse_pci_mappings(read_pve_file(reader, paths::pve_pci_mappings).value_or(""));
}

// As lspci of pve-common's SysFSTools.pm: since kernel 6.8 NVIDIA's driver makes vGPUs in files of its own.
bool makes_nvidia_vgpus(const SysReader& reader, const PciAddress& function)
{
    return !reader.exists(paths::function(function, "mdev_supported_types")) &&
           reader.exists(paths::function(function, "nvidia"));
}

// parse_hostpci in qemu-server's PCI.pm: one alternative of that kind makes it of that kind.
bool is_nvidia_vgpu(const SysReader& reader, const PassedDevice& device)
{
    constexpr std::string_view prefix = "nvidia-";
    const auto type = std::string_view(*device.mdev);
    if (!type.starts_with(prefix) || type.size() == prefix.size() ||
        !consists_of(type.substr(prefix.size()), is_digit))
        return false;
    return std::ranges::any_of(device.alternatives, [&](const MappingChoice& one) {
        return one.functions.size() == 1 && makes_nvidia_vgpus(reader, one.functions.front());
    });
}

// Proxmox looks at every alternative of a mapping before it chooses one (parse_hostpci in qemu-server's
// PCI.pm), and starts no guest while one is not there: what one lacks, all of them lack.
void share_what_is_missing(PassedDevice& device)
{
    std::vector<HostSelector> missing;
    for (const auto& one : device.alternatives) append(missing, one.missing);
    for (auto& one : device.alternatives) one.missing = missing;
}

// A slot whose function 0 is not there has lost it: there is no card without one (PCI Local Bus
// Specification 3.0, 3.2.2.3.4), and the GPU is function 0 mostly. Virtual functions have slots of their own,
// without one.
void note_lost_first_functions(const SysReader& reader, const HostPci& line, PassedDevice& device)
{
    auto& [functions, missing, mapped] = device.alternatives.front();
    for (const auto& selector : line.hosts) {
        const HostSelector first{selector.text + ".0"};
        const auto* beside = find_where(
            functions, [&](const PciAddress& function) { return selector.matches(to_string(function)); });
        if (selector.text.find('.') == std::string::npos && beside != nullptr &&
            !names_one(first, functions) && !reader.exists(paths::function(*beside, "physfn")))
            missing.push_back(first);
    }
}

bool is_on_vfio(const SysReader& reader, const PassedDevice& device)
{
    const auto has_vfio_driver = [&](const PciAddress& function) {
        return is_vfio_driver(bound_driver(reader, function));
    };
    return std::ranges::all_of(device.alternatives, [&](const MappingChoice& one) {
        return !one.functions.empty() && std::ranges::all_of(one.functions, has_vfio_driver);
    });
}

// What makes Proxmox pass an alternative over (reserve_pci_usage in qemu-server's PCI.pm): another VM's
// reservation of one of its own functions, whoever else has it open. Our claims are reservations to be.
bool is_spoken_for(const std::vector<Holder>& holders, const std::vector<PciAddress>& functions)
{
    return std::ranges::any_of(holders, [&](const Holder& holder) {
        return (holder.kind == Holder::Kind::reservation || holder.kind == Holder::Kind::claim) &&
               contains(functions, holder.function);
    });
}

// Whether mediated devices, or NVIDIA's own vGPUs, are offered for the function as it is now.
bool offers_mediated_devices(const SysReader& reader, const PciAddress& function)
{
    return reader.exists(paths::function(function, "mdev_supported_types")) ||
           makes_nvidia_vgpus(reader, function);
}

void look_at_paths(const SysReader& reader, const PassedDevice& device, const MappedDevice& mapped,
                   const Topology& topology, std::vector<MappingMismatch>& mismatches)
{
    for (std::size_t index = 0; index < mapped.paths.size(); ++index) {
        const auto address = first_function(mapped.paths[index].text);
        const auto* function = address ? topology.find(*address) : nullptr;
        if (function == nullptr) continue; // it is missing, which is another matter
        MappedFacts facts{device_id(*function), subsystem_id(*function), function->iommu_group, std::nullopt};
        // One that is passed whole will be on vfio-pci when Proxmox looks, where nothing offers them.
        if (!device.passed_whole() && installed_qemu_server(reader).compares_mdev())
            facts.mdev = offers_mediated_devices(reader, *address);
        if (auto reason = mapping_mismatch(mapped, facts, index))
            mismatches.push_back({device.key, device.mapping.value_or(""), mapped.line, std::move(*reason)});
    }
}

} // namespace

NamedDevices read_named_devices(const SysReader& reader, const GuestConfig& config,
                                const std::vector<PciAddress>& all)
{
    NamedDevices named;
    const auto mappings = read_mappings(reader, config);
    for (const auto& warning : mappings.warnings)
        named.warnings.push_back(warning.in(std::string(paths::pve_pci_mappings)));
    named.devices = resolve_hostpci(config, mappings, node_name(reader), all);
    for (std::size_t index = 0; index < named.devices.size(); ++index)
        note_lost_first_functions(reader, config.hostpci[index], named.devices[index]);
    for (auto& device : named.devices) {
        device.on_vfio = device.keep_driver && is_on_vfio(reader, device);
        device.nvidia_vgpu = device.mdev && is_nvidia_vgpu(reader, device);
        share_what_is_missing(device);
    }
    return named;
}

std::vector<MappingMismatch> mapping_mismatches(const SysReader& reader,
                                                const std::vector<PassedDevice>& devices,
                                                const Topology& topology)
{
    std::vector<MappingMismatch> mismatches;
    for (const auto& device : devices)
        for (const auto& one : device.alternatives)
            if (one.mapped) look_at_paths(reader, device, *one.mapped, topology, mismatches);
    return mismatches;
}

void choose_free_alternatives(std::vector<PassedDevice>& devices, const std::vector<Holder>& holders)
{
    choose_alternatives(devices, [&](const std::vector<PciAddress>& functions) {
        return !is_spoken_for(holders, functions);
    });
}

std::optional<PciAddress> first_function(const std::string& path)
{
    const bool has_domain = path.find(':') != path.rfind(':');
    const auto text = has_domain ? path : "0000:" + path;
    return parse_pci_address(text.find('.') == std::string::npos ? text + ".0" : text);
}

} // namespace pvegpu
