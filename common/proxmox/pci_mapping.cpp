#include "proxmox/pci_mapping.hpp"

#include "base/lists.hpp"
#include "base/pci_address.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "proxmox/config_lines.hpp"
#include "proxmox/hostpci_format.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

namespace pvegpu {
namespace {

using Fault = std::optional<std::string>; // a sentence, or nothing

constexpr std::size_t max_description = 4096; // characters

bool is_integer(std::string_view text)
{
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    return !text.empty() && consists_of(text, is_digit);
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
    MapKey{"node", true, is_node_name},
    MapKey{"id", true, is_id_pair},
    MapKey{"path", true, is_path_list},
    MapKey{"subsystem-id", false, is_id_pair},
    MapKey{"iommugroup", false, is_integer},
    MapKey{"description", false, [](std::string_view text) { return text.size() <= max_description; }},
};

Fault check(const Properties& properties)
{
    for (const auto& [name, value] : properties) {
        const auto* const key = find_by(map_keys, name, &MapKey::name);
        if (key == nullptr) return "unknown key " + quote(name);
        if (!key->check(value)) return quote(value) + " is no valid " + name;
    }
    return std::nullopt;
}

Fault check_required(const Properties& properties)
{
    for (const MapKey& key : map_keys)
        if (key.required && !contains(properties, key.name, &Properties::value_type::first))
            return std::string(key.name) + " is missing";
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

// The value of a `map` line, by the keys and values of Proxmox's format (map_fmt in Mapping/PCI.pm): the
// device, or a sentence that says why Proxmox drops the line.
std::variant<MappedDevice, std::string> parse_map(std::string_view value)
{
    const auto parsed = parse_property_string(value, ""); // the format has no default key
    if (const auto* const problem = std::get_if<std::string>(&parsed)) return *problem;
    const auto& properties = std::get<Properties>(parsed);
    if (Fault problem = check(properties)) return std::move(*problem);
    if (Fault problem = check_required(properties)) return std::move(*problem);

    MappedDevice device;
    device.text = value;
    for (const auto& [name, text] : properties) take(device, name, text);
    return device;
}

// What Perl takes for false. Such a line ends a section; a line of blanks, or the "\r" of a file with CRLF
// line ends, does not, and what follows is read as part of the same section.
bool is_false(std::string_view line)
{
    return line.empty() || line == "0";
}

// A property line is indented; its value is missing where there is none.
struct Property {
    std::string_view key;
    std::optional<std::string_view> value;
};

std::optional<Property> parse_property(std::string_view line)
{
    const auto is_not_space = [](char c) { return !is_space(c); };
    const std::string_view text = trim(line);
    if (text.empty() || !is_space(line.front())) return std::nullopt;
    const std::size_t end = count_front(text, is_not_space);
    if (end == text.size()) return Property{text, std::nullopt};
    return Property{text.substr(0, end), trim(text.substr(end))};
}

// parse_config of SectionConfig.pm with the plugin of Mapping/PCI.pm.
class MappingParser {
public:
    explicit MappingParser(std::string_view text) : reader_(text) {}

    PciMappings parse()
    {
        while (next())
            if (!is_false(line())) read_header();
        return std::move(result_);
    }

private:
    std::string_view line() const { return reader_.line(); }

    // The next line that is no comment. Comments do not end a section.
    bool next()
    {
        while (reader_.next())
            if (!trim_left(line()).starts_with('#')) return true;
        return false;
    }

    void read_header()
    {
        const std::string_view name = trim_right(line());
        if (name.empty() || std::ranges::any_of(name, is_space)) return warn_ignored();
        if (is_config_id(name)) return read_section(std::string(name));
        warn({quote(name) + " is no name of a mapping", "Proxmox skips the section"});
        while (next() && !is_false(line())) {
        }
    }

    void read_section(std::string name)
    {
        mapping_ = {};
        mapping_.name = std::move(name);
        seen_.clear();
        while (next() && !is_false(line())) {
            const auto property = parse_property(line());
            if (!property)
                warn_ignored();
            else if (const Fault problem = read(*property))
                warn({"mapping " + quote(mapping_.name) + ": " + *problem, "Proxmox ignores this line"});
        }
        finish_section();
    }

    // A section replaces the one before it that has its name, even when it is itself not usable.
    void finish_section()
    {
        for (MappedDevice& device : mapping_.devices) device.mdev = mapping_.mdev;
        std::erase_if(result_.mappings, [this](const auto& other) { return other.name == mapping_.name; });
        if (mapping_.devices.empty())
            warn({"mapping " + quote(mapping_.name) + " has no valid 'map' line", "Proxmox skips it"});
        else
            result_.mappings.push_back(std::move(mapping_));
    }

    // A sentence that says why the line is not taken, or nothing.
    Fault read(const Property& property)
    {
        if (property.key == "map") return read_map(property.value);
        if (property.key == "mdev" || property.key == "live-migration-capable" ||
            property.key == "description")
            return read_once(property);
        return "unknown property " + quote(property.key);
    }

    Fault read_map(std::optional<std::string_view> value)
    {
        if (!value) return "'map' has no value";
        if (contains(*value, '\r')) return "a line feed in " + quote(*value);
        auto parsed = parse_map(*value);
        if (auto* const problem = std::get_if<std::string>(&parsed)) return "map: " + *problem;
        mapping_.devices.push_back(std::get<MappedDevice>(std::move(parsed)));
        mapping_.devices.back().line = reader_.number();
        return std::nullopt;
    }

    Fault read_once(const Property& property)
    {
        const std::string key(property.key);
        if (seen_.contains(key)) return "'" + key + "' comes twice";
        const bool text = key == "description";
        const std::string_view value = property.value.value_or(text ? "" : "1");
        if (text ? !is_description(value) : value != "0" && value != "1")
            return quote(value) + " is no valid '" + key + "'";
        if (key == "mdev") mapping_.mdev = value == "1";
        seen_.insert(key);
        return std::nullopt;
    }

    static bool is_description(std::string_view value)
    {
        return !value.empty() && value.size() <= max_description && !contains(value, '\r');
    }

    void warn_ignored() { warn({"Proxmox ignores the line " + quote(line())}); }
    void warn(Advice advice) { result_.warnings.push_back({reader_.number(), std::move(advice)}); }

    LineReader reader_;
    PciMapping mapping_;
    std::set<std::string> seen_; // properties of this section that may come once
    PciMappings result_;
};

std::string not_equal(std::string_view property, const std::string& mapped, const std::string& actual)
{
    return "the mapping's " + std::string(property) + " is " + quote(mapped) + ", the device's is " +
           quote(actual);
}

// assert_valid wants a property on both sides with the same text, or on neither.
std::optional<std::string> compare(std::string_view property, const std::optional<std::string>& mapped,
                                   const std::optional<std::string>& actual)
{
    if (mapped == actual) return std::nullopt;
    if (!mapped) return "the mapping lacks " + std::string(property) + ", the device's is " + quote(*actual);
    if (!actual)
        return "the mapping has " + std::string(property) + " " + quote(*mapped) + ", the device has none";
    return not_equal(property, *mapped, *actual);
}

std::optional<std::string> as_text(std::optional<unsigned> number)
{
    return number ? std::optional(std::to_string(*number)) : std::nullopt;
}

} // namespace

const PciMapping* PciMappings::find(std::string_view name) const
{
    return find_by(mappings, name, &PciMapping::name);
}

PciMappings parse_pci_mappings(std::string_view text)
{
    return MappingParser(text).parse();
}

std::vector<MappedDevice> devices_on_node(const PciMapping& mapping, std::string_view node)
{
    std::vector<MappedDevice> devices;
    std::ranges::copy_if(mapping.devices, std::back_inserter(devices),
                         [node](const MappedDevice& device) { return device.node == node; });
    return devices;
}

std::optional<std::string> mapping_mismatch(const MappedDevice& device, const MappedFacts& facts,
                                            std::size_t path_index)
{
    if (device.start_error) return device.start_error;
    if (auto problem = compare("id", device.id, facts.id)) return problem;
    if (path_index == 0)
        if (auto problem = compare("iommugroup", as_text(device.iommu_group), as_text(facts.iommu_group)))
            return problem;
    if (facts.mdev && *facts.mdev != device.mdev)
        return not_equal("mdev", device.mdev ? "1" : "0", *facts.mdev ? "1" : "0");
    return compare("subsystem-id", device.subsystem_id, facts.subsystem_id);
}

} // namespace pvegpu
