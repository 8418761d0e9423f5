#include "fuzz.hpp"
#include "printers.hpp"
#include "proxmox/pci_mapping.hpp"

#include <algorithm>

using namespace pvegpu;

namespace {

void check(const MappedDevice& device)
{
    for (const HostSelector& path : device.paths) fuzz::require_selector(path.text);
    fuzz::require(device.start_error || !device.paths.empty());
    MappedFacts facts;
    facts.id = device.id;
    facts.subsystem_id = device.subsystem_id;
    facts.iommu_group = device.iommu_group;
    facts.mdev = device.mdev;
    fuzz::require(mapping_mismatch(device, facts) == device.start_error);
}

// A path or a group that can be no device's is not kept, only that there was one.
void check_same_again(const PciMapping& mapping)
{
    const auto& devices = mapping.devices;
    if (std::any_of(devices.begin(), devices.end(), [](const auto& one) { return one.start_error; })) return;
    const auto again = parse_pci_mappings(fuzz::print(mapping));
    fuzz::require(again.warnings.empty() && again.mappings.size() == 1);
    fuzz::require(fuzz::same(again.mappings.front(), mapping));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const PciMappings mappings = parse_pci_mappings(fuzz::text_of(data, size));
    for (const PciMapping& mapping : mappings.mappings) {
        fuzz::require(mappings.find(mapping.name) == &mapping && !mapping.devices.empty());
        check_same_again(mapping);
        for (const MappedDevice& device : mapping.devices) {
            check(device);
            fuzz::require(!devices_on_node(mapping, device.node).empty());
        }
    }
    for (const ConfigWarning& warning : mappings.warnings) fuzz::require_printable(to_string(warning.advice));
    return 0;
}
