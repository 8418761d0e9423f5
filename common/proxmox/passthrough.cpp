#include "proxmox/passthrough.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

MappingChoice match(const std::vector<HostSelector>& selectors, const std::vector<PciAddress>& all)
{
    MappingChoice alternative;
    for (const auto& selector : selectors) {
        const auto before = alternative.functions.size();
        for (const auto& address : all)
            if (selector.matches(to_string(address))) alternative.functions.push_back(address);
        if (alternative.functions.size() == before) alternative.missing.push_back(selector);
    }
    return alternative;
}

// Of a path that names a whole slot Proxmox wants function 0 in any case (assert_valid in pve-guest-common's
// Mapping/PCI.pm).
MappingChoice match_mapped(const MappedDevice& device, const std::vector<PciAddress>& all)
{
    auto alternative = match(device.paths, all);
    for (const auto& path : device.paths) {
        const HostSelector first{path.text + ".0"};
        if (path.text.find('.') == std::string::npos && names_one(path, all) && !names_one(first, all))
            alternative.missing.push_back(first);
    }
    alternative.mapped = device;
    return alternative;
}

[[noreturn]] void refuse(ErrorKind reason, const HostPci& line, const Advice& advice)
{
    throw Error(reason, {"'" + line.key() + "' " + advice.fact, advice.remedy});
}

std::vector<MappingChoice> mapped_alternatives(const HostPci& line, const PciMappings& mappings,
                                               const std::string& node, const std::vector<PciAddress>& all)
{
    const auto* mapping = mappings.find(*line.mapping);
    if (mapping == nullptr)
        refuse(ErrorKind::not_found, line,
               {"names the mapping '" + *line.mapping + "', which does not exist",
                "see Datacenter > Resource Mappings"});
    std::vector<MappingChoice> alternatives;
    for (const auto& device : devices_on_node(*mapping, node))
        alternatives.push_back(match_mapped(device, all));
    if (alternatives.empty())
        refuse(ErrorKind::not_found, line,
               {"names the mapping '" + *line.mapping + "', which has no device on node '" + node + "'"});
    return alternatives;
}

PassedDevice resolve(const HostPci& line, const PciMappings& mappings, const std::string& node,
                     const std::vector<PciAddress>& all)
{
    if (line.start_error) throw Error(ErrorKind::invalid_config, *line.start_error);
    PassedDevice device;
    device.key = line.key();
    device.mapping = line.mapping;
    device.mdev = line.mdev;
    device.keep_driver = line.keep_driver;
    device.alternatives =
        line.mapping ? mapped_alternatives(line, mappings, node, all) : std::vector{match(line.hosts, all)};
    return device;
}

// Nothing free: the first that this guest has not taken itself.
std::size_t first_free(const std::vector<MappingChoice>& alternatives, const std::set<PciAddress>& used,
                       const std::function<bool(const std::vector<PciAddress>&)>& is_free)
{
    std::optional<std::size_t> unused;
    for (std::size_t i = 0; i < alternatives.size(); ++i) {
        const auto& functions = alternatives[i].functions;
        const auto is_used = [&](const PciAddress& address) { return used.contains(address); };
        if (functions.empty() || std::ranges::any_of(functions, is_used)) continue;
        if (is_free(functions)) return i;
        if (!unused) unused = i;
    }
    return unused.value_or(0);
}

} // namespace

std::vector<PassedDevice> resolve_hostpci(const GuestConfig& config, const PciMappings& mappings,
                                          const std::string& node, const std::vector<PciAddress>& all)
{
    std::vector<PassedDevice> devices;
    for (const auto& line : config.hostpci) devices.push_back(resolve(line, mappings, node, all));
    return devices;
}

std::vector<MissingFunction> missing_functions(const std::vector<PassedDevice>& devices)
{
    std::vector<MissingFunction> missing;
    for (const auto& device : devices) {
        if (!device.passed_whole()) continue;
        for (const auto& selector : device.taken().missing) missing.push_back({device, selector});
    }
    return missing;
}

bool names_one(const HostSelector& selector, const std::vector<PciAddress>& functions)
{
    return std::ranges::any_of(
        functions, [&](const PciAddress& address) { return selector.matches(to_string(address)); });
}

const PassedDevice* device_of(const std::vector<PassedDevice>& devices, const PciAddress& address)
{
    return find_where(
        devices, [&](const PassedDevice& device) { return contains(device.taken().functions, address); });
}

std::string key_of(const std::vector<PassedDevice>& devices, const PciAddress& address)
{
    const auto* device = device_of(devices, address);
    return device == nullptr ? "" : device->key;
}

void choose_alternatives(std::vector<PassedDevice>& devices,
                         const std::function<bool(const std::vector<PciAddress>&)>& is_free)
{
    std::set<PciAddress> used;
    for (auto& device : devices) {
        if (!device.reserved()) continue;
        device.chosen = first_free(device.alternatives, used, is_free);
        used.insert(device.taken().functions.begin(), device.taken().functions.end());
    }
}

} // namespace pvegpu
