#include "read_topology.hpp"

#include "paths.hpp"

#include <algorithm>
#include <charconv>

namespace pvegpu {
namespace {

// A number as sysfs prints it, with or without 0x; 0 for anything else.
std::uint64_t number_in(std::string_view text, int base)
{
    if (text.starts_with("0x")) text.remove_prefix(2);
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, base);
    return value;
}

std::string_view last_component(std::string_view path)
{
    return path.substr(path.rfind('/') + 1);
}

bool contains(const std::vector<std::string>& names, std::string_view name)
{
    return std::binary_search(names.begin(), names.end(), name);
}

// One function's directory, listed once: which attributes exist is itself a fact.
class FunctionReader {
public:
    FunctionReader(const SysReader& reader, const PciAddress& address)
        : reader_(reader), address_(address), names_(reader.list(paths::function(address)))
    {
    }

    bool present() const { return contains(names_, "vendor"); }
    bool has(std::string_view attribute) const { return contains(names_, attribute); }
    std::size_t virtual_functions() const
    {
        return static_cast<std::size_t>(std::count_if(
            names_.begin(), names_.end(), [](const auto& name) { return name.starts_with("virtfn"); }));
    }

    std::string text(std::string_view attribute) const
    {
        return has(attribute) ? reader_.read(paths::function(address_, attribute)).value_or("") : "";
    }

    template <typename Number> Number number(std::string_view attribute, int base = 16) const
    {
        return static_cast<Number>(number_in(text(attribute), base));
    }

    std::string link(std::string_view attribute) const
    {
        return has(attribute) ? reader_.read_link(paths::function(address_, attribute)).value_or("") : "";
    }

private:
    const SysReader& reader_;
    PciAddress address_;
    std::vector<std::string> names_;
};

std::vector<std::string> words_of(std::string_view text)
{
    std::vector<std::string> words;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(" \n"), text.size());
        if (end > 0) words.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

// "0x00000000a0000000 0x00000000afffffff 0x000000000014220c": start, end, flags; one line each BAR. Flags
// from the kernel's include/linux/ioport.h.
std::optional<Bar> parse_bar(unsigned index, std::string_view line)
{
    constexpr std::uint64_t io = 0x100;
    constexpr std::uint64_t memory = 0x200;
    constexpr std::uint64_t wide = 0x100000;
    constexpr std::uint64_t unset = 0x20000000;
    const auto numbers = words_of(line);
    if (numbers.size() != 3) return std::nullopt;
    const auto start = number_in(numbers[0], 16);
    const auto end = number_in(numbers[1], 16);
    const auto flags = number_in(numbers[2], 16);
    if ((flags & (io | memory)) == 0) return std::nullopt;
    return Bar{index,
               start,
               end - start + 1,
               (flags & unset) == 0 && start != 0,
               (flags & io) != 0,
               (flags & wide) != 0};
}

std::vector<Bar> parse_bars(std::string_view resource)
{
    constexpr unsigned bar_count = 6;
    std::vector<Bar> bars;
    for (unsigned index = 0; index < bar_count && !resource.empty(); ++index) {
        const auto end = std::min(resource.find('\n'), resource.size());
        if (const auto bar = parse_bar(index, resource.substr(0, end))) bars.push_back(*bar);
        resource.remove_prefix(std::min(end + 1, resource.size()));
    }
    return bars;
}

// The link below /sys/bus/pci/devices ends in the way down from the host bridge:
// "../../../devices/pci0000:00/0000:00:1c.0/0000:01:00.0".
void place_function(std::string_view target, Function& function)
{
    while (!target.empty()) {
        const auto end = std::min(target.find('/'), target.size());
        const auto part = target.substr(0, end);
        if (const auto address = parse_pci_address(part)) function.above.push_back(*address);
        if (part.starts_with("pci") && !function.above.empty()) {
            function.behind_nested_host_bridge = true;
            function.above.clear(); // the bridges of the other domain are not above this one
        }
        target.remove_prefix(std::min(end + 1, target.size()));
    }
    if (!function.above.empty() && function.above.back() == function.address) function.above.pop_back();
}

void read_group(const SysReader& reader, const FunctionReader& from, Function& function)
{
    const auto target = from.link("iommu_group");
    if (target.empty()) return;
    function.iommu_group = static_cast<unsigned>(number_in(last_component(target), 10));
    for (const auto& name : reader.list(paths::iommu_group_members(*function.iommu_group)))
        if (const auto member = parse_pci_address(name)) function.group_members.push_back(*member);
}

void read_bridge(const FunctionReader& from, Function& function)
{
    function.bridge = from.has("pci_bus");
    if (!function.bridge) return;
    function.secondary_bus =
        PciBus{function.address.domain, from.number<std::uint8_t>("secondary_bus_number", 10)};
    function.subordinate_bus = from.number<std::uint8_t>("subordinate_bus_number", 10);
    function.has_reset_subordinate = from.has("reset_subordinate");
}

void read_ids(const FunctionReader& from, Function& function)
{
    function.vendor = from.number<std::uint16_t>("vendor");
    function.device = from.number<std::uint16_t>("device");
    function.subsystem_vendor = from.number<std::uint16_t>("subsystem_vendor");
    function.subsystem_device = from.number<std::uint16_t>("subsystem_device");
    function.class_code = from.number<std::uint32_t>("class");
}

class TopologyReader {
public:
    TopologyReader(const SysReader& reader, Milliseconds config_timeout)
        : reader_(reader), config_timeout_(config_timeout)
    {
    }

    void add(const PciAddress& address)
    {
        const Function* function = add_one(address);
        if (function == nullptr) return;
        if (is_gpu(*function)) add_surroundings(*function);
        for (const auto& member : function->group_members) add_one(member);
    }

    Topology take() { return std::move(topology_); }

private:
    // A function whose bridge has gone since it was read is gone with it: the topology is closed upwards.
    const Function* add_one(const PciAddress& address)
    {
        if (const auto* known = topology_.find(address)) return known;
        auto function = read_function(reader_, address);
        if (!function) return nullptr;
        const auto above = function->above;
        topology_.functions.emplace(address, std::move(*function));
        const auto is_gone = [&](const PciAddress& bridge) { return add_one(bridge) == nullptr; };
        if (std::any_of(above.begin(), above.end(), is_gone)) topology_.functions.erase(address);
        return topology_.find(address);
    }

    void add_surroundings(const Function& gpu)
    {
        if (gpu.above.empty()) {
            add_bus(bus_of(gpu.address), gpu.address.slot);
        } else {
            add_below(gpu.above.front());
            for (const auto& bridge : gpu.above) add_config(bridge);
        }
        for (const auto* neighbour : sharing_port_or_switch(gpu)) add_config(neighbour->address);
    }

    void add_bus(const PciBus& bus, std::uint8_t slot)
    {
        constexpr std::uint8_t functions_of_a_slot = 8;
        for (std::uint8_t number = 0; number < functions_of_a_slot; ++number)
            add_one({bus.domain, bus.bus, slot, number});
    }

    // Deeper with each step, so that it ends whatever a tree says that changes while it is read.
    void add_below(const PciAddress& bridge)
    {
        const auto depth = depth_of(bridge);
        for (const auto& name : reader_.list(paths::function(bridge)))
            if (const auto child = parse_pci_address(name); child && *child != bridge) {
                if (add_one(*child) != nullptr && depth_of(*child) > depth) add_below(*child);
                for (const auto& member : members_of(*child)) add_one(member);
            }
    }

    std::size_t depth_of(const PciAddress& address) const
    {
        const auto* function = topology_.find(address);
        return function == nullptr ? 0 : function->above.size();
    }

    std::vector<PciAddress> members_of(const PciAddress& address) const
    {
        const auto* function = topology_.find(address);
        return function == nullptr ? std::vector<PciAddress>{} : function->group_members;
    }

    // On a switch a card may be everything below its upstream port, which is two bridges up.
    std::vector<const Function*> sharing_port_or_switch(const Function& gpu) const
    {
        const auto* port = topology_.bridge_above(gpu);
        if (port == nullptr) return topology_.on_slot_of(gpu);
        const bool on_switch = port->config && port->config->pcie == PcieType::switch_downstream;
        const auto* upstream = on_switch ? topology_.bridge_above(*port) : nullptr;
        return topology_.below(upstream != nullptr ? *upstream : *port);
    }

    void add_config(const PciAddress& address)
    {
        const auto found = topology_.functions.find(address);
        if (found == topology_.functions.end() || found->second.config) return;
        auto& function = found->second;
        function.config = read_config_space(reader_, address, config_timeout_);
        if (function.bridge && function.config && function.config->health == Health::dead)
            function.config->pcie = type_by_place(function);
    }

    // A dead bridge does not tell its type. The switch of a card that has died is told by what it hangs on;
    // the bridges above are read first.
    std::optional<PcieType> type_by_place(const Function& bridge) const
    {
        const auto* above = topology_.bridge_above(bridge);
        if (above == nullptr || !above->config || !above->config->pcie) return std::nullopt;
        switch (*above->config->pcie) {
        case PcieType::root_port:
        case PcieType::switch_downstream:
            return PcieType::switch_upstream;
        case PcieType::switch_upstream:
            return PcieType::switch_downstream;
        default:
            return std::nullopt;
        }
    }

    const SysReader& reader_;
    Milliseconds config_timeout_;
    Topology topology_;
};

} // namespace

std::vector<PciAddress> list_functions(const SysReader& reader)
{
    std::vector<PciAddress> result;
    for (const auto& name : reader.list(std::string(paths::pci_functions)))
        if (const auto address = parse_pci_address(name)) result.push_back(*address);
    return result;
}

std::optional<Function> read_function(const SysReader& reader, const PciAddress& address)
{
    const FunctionReader from(reader, address);
    if (!from.present()) return std::nullopt;
    Function function;
    function.address = address;
    place_function(reader.read_link(paths::function(address)).value_or(""), function);
    read_ids(from, function);
    read_bridge(from, function);
    read_group(reader, from, function);
    function.driver = last_component(from.link("driver"));
    function.reset_methods = words_of(from.text("reset_method"));
    function.virtual_function = from.has("physfn");
    function.virtual_functions = from.virtual_functions();
    function.boot_vga = from.text("boot_vga").starts_with('1');
    function.bars = parse_bars(from.text("resource"));
    return function;
}

std::optional<ConfigSpace> read_config_space(const SysReader& reader, const PciAddress& address,
                                             Milliseconds timeout)
{
    const auto outcome = reader.read_within(paths::function(address, "config"), config_bytes, timeout);
    if (!outcome.done()) return std::nullopt;
    return parse_config_space(outcome.text);
}

Topology read_topology(const SysReader& reader, const std::vector<PciAddress>& wanted,
                       Milliseconds config_timeout)
{
    TopologyReader topology(reader, config_timeout);
    for (const auto& address : wanted) topology.add(address);
    return topology.take();
}

} // namespace pvegpu
