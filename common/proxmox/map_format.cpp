#include "proxmox/map_format.hpp"

#include "base/text.hpp"
#include "base/vmid.hpp"
#include "proxmox/hostpci_format.hpp"
#include "proxmox/property_string.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {

namespace {

using Problem = std::optional<std::string>; // a sentence, or nothing

bool is_id_pair(std::string_view text)
{
    return text.size() == 9 && text[4] == ':' && consists_of(text.substr(0, 4), is_hex) &&
           consists_of(text.substr(5), is_hex);
}

bool is_integer(std::string_view text)
{
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    return !text.empty() && consists_of(text, is_digit);
}

bool is_short_enough(std::string_view text)
{
    return text.size() <= max_description;
}

// How long one path is at the front of a text, 0 if there is none. The dot before the function is written in
// Mapping/PCI.pm so that any character passes for it, even the ';' that separates two paths.
std::size_t length_of_path(std::string_view text)
{
    const std::size_t slot = length_of_slot_with_domain(text);
    if (slot == 0 || slot + 2 > text.size() || !is_lower_hex(text[slot + 1])) return slot;
    const std::string_view rest = text.substr(slot + 2);
    return rest.empty() || rest.front() == ';' ? slot + 2 : slot;
}

bool is_path_list(std::string_view text)
{
    for (;;) {
        const std::size_t length = length_of_path(text);
        if (length == 0) return false;
        if (length == text.size()) return true;
        if (text[length] != ';') return false;
        text.remove_prefix(length + 1);
    }
}

struct MapKey {
    std::string_view name;
    bool required;
    bool (*check)(std::string_view value);
};

constexpr std::array map_keys = {
    MapKey{"node", true, is_node_name},      MapKey{"id", true, is_id_pair},
    MapKey{"path", true, is_path_list},      MapKey{"subsystem-id", false, is_id_pair},
    MapKey{"iommugroup", false, is_integer}, MapKey{"description", false, is_short_enough},
};

Problem check(const Properties& properties)
{
    for (const auto& [name, value] : properties) {
        const auto* const key = std::ranges::find_if(
            map_keys, [&name = name](const MapKey& known) { return known.name == name; });
        if (key == map_keys.end()) return "unknown key " + quote(name);
        if (!key->check(value)) return quote(value) + " is no valid " + name;
    }
    return std::nullopt;
}

Problem check_required(const Properties& properties)
{
    for (const MapKey& key : map_keys) {
        const auto has_name = [&key](const auto& property) { return property.first == key.name; };
        if (key.required && std::ranges::none_of(properties, has_name))
            return std::string(key.name) + " is missing";
    }
    return std::nullopt;
}

void take_paths(MappedDevice& device, std::string_view value)
{
    for (const std::string_view path : split(value, ';')) {
        if (is_host_selector(path))
            device.paths.push_back({std::string(path)});
        else
            device.start_error = "the path " + quote(path) + " is no PCI address";
    }
}

// assert_valid compares texts, so a group with a sign or a zero in front is never that of a device.
void take_iommu_group(MappedDevice& device, std::string_view value)
{
    device.iommu_group = parse_decimal(value);
    if (!device.iommu_group || std::to_string(*device.iommu_group) != value)
        device.start_error = "the IOMMU group " + quote(value) + " can be that of no device";
}

void take(MappedDevice& device, std::string_view name, const std::string& value)
{
    if (name == "node") device.node = value;
    if (name == "id") device.id = value;
    if (name == "subsystem-id") device.subsystem_id = value;
    if (name == "path") take_paths(device, value);
    if (name == "iommugroup") take_iommu_group(device, value);
}

} // namespace

std::variant<MappedDevice, std::string> parse_map(std::string_view value)
{
    const auto parsed = parse_property_string(value, ""); // the format has no default key
    if (const auto* const problem = std::get_if<std::string>(&parsed)) return *problem;
    const auto& properties = std::get<Properties>(parsed);
    if (Problem problem = check(properties)) return std::move(*problem);
    if (Problem problem = check_required(properties)) return std::move(*problem);

    MappedDevice device;
    for (const auto& [name, text] : properties) take(device, name, text);
    return device;
}

} // namespace pvegpu
