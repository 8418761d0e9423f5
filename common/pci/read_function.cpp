#include "pci/read_function.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

// A number as sysfs prints it, with or without 0x; 0 for anything else.
std::uint64_t number_in(std::string_view text, int base)
{
    text = trim(text);
    if (text.starts_with("0x")) text.remove_prefix(2);
    return parse_number<std::uint64_t>(text, base).value_or(0);
}

// One function's directory, listed once: which attributes exist is itself a fact.
class FunctionReader {
public:
    FunctionReader(const SysReader& reader, const PciAddress& address)
        : reader_(reader), address_(address), names_(reader.list(paths::function(address)))
    {
    }

    bool present() const { return has("vendor"); }
    bool has(std::string_view attribute) const { return std::ranges::binary_search(names_, attribute); }
    std::size_t virtual_functions() const
    {
        return static_cast<std::size_t>(
            std::ranges::count_if(names_, [](const auto& name) { return name.starts_with("virtfn"); }));
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
    for (LineReader lines(resource); lines.next() && lines.number() <= bar_count;)
        if (const auto bar = parse_bar(lines.number() - 1, lines.line())) bars.push_back(*bar);
    return bars;
}

// The link below /sys/bus/pci/devices ends in the way down from the host bridge:
// "../../../devices/pci0000:00/0000:00:1c.0/0000:01:00.0".
void place_function(std::string_view target, Function& function)
{
    for (const auto part : split(target, '/')) {
        if (const auto address = parse_pci_address(part)) function.above.push_back(*address);
        if (part.starts_with("pci") && !function.above.empty()) {
            function.behind_nested_host_bridge = true;
            function.above.clear(); // the bridges of the other domain are not above this one
        }
    }
    if (!function.above.empty() && function.above.back() == function.address) function.above.pop_back();
}

void read_group(const SysReader& reader, const FunctionReader& from, Function& function)
{
    const auto target = from.link("iommu_group");
    if (target.empty()) return;
    function.iommu_group = static_cast<unsigned>(number_in(last_name(target), 10));
    for (const auto& name : reader.list(paths::iommu_group_members(*function.iommu_group)))
        if (const auto member = parse_pci_address(name)) function.group_members.push_back(*member);
}

std::optional<PciBus> bus_below(const SysReader& reader, const PciAddress& bridge)
{
    for (const auto& name : reader.list(paths::function(bridge, "pci_bus")))
        if (const auto first = parse_pci_address(name + ":00.0")) return bus_of(*first);
    return std::nullopt;
}

// The highest number that the kernel has given to a bus below the bridge.
std::uint8_t highest_bus_below(const SysReader& reader, const PciAddress& bridge)
{
    auto below = list_below(reader, bridge);
    below.push_back(bridge);
    std::uint8_t highest = 0;
    for (const auto& address : below)
        if (const auto bus = bus_below(reader, address)) highest = std::max(highest, bus->bus);
    return highest;
}

// secondary_bus_number and subordinate_bus_number are read from the bridge's registers at that moment, which
// may have lost them, and without the lock that a read of `config` waits for; the kernel's own numbers are in
// the names of the buses.
void read_bridge(const SysReader& reader, const FunctionReader& from, Function& function)
{
    function.bridge = from.has("pci_bus");
    if (!function.bridge) return;
    function.registers = {from.number<std::uint8_t>("secondary_bus_number", 10),
                          from.number<std::uint8_t>("subordinate_bus_number", 10)};
    function.secondary_bus = bus_below(reader, function.address)
                                 .value_or(PciBus{function.address.domain, function.registers.secondary});
    function.subordinate_bus = highest_bus_below(reader, function.address);
    if (function.registers.secondary == function.secondary_bus->bus) // else they mean nothing
        function.subordinate_bus = std::max(function.subordinate_bus, function.registers.subordinate);
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

} // namespace

std::vector<PciAddress> list_functions(const SysReader& reader)
{
    std::vector<PciAddress> result;
    for (const auto& name : reader.list(std::string(paths::pci_functions)))
        if (const auto address = parse_pci_address(name)) result.push_back(*address);
    return result;
}

// Each once, so that it ends whatever a tree says that changes while it is read.
std::vector<PciAddress> list_below(const SysReader& reader, const PciAddress& bridge)
{
    std::set<PciAddress> found;
    std::vector<PciAddress> open{bridge};
    while (!open.empty()) {
        const auto names = reader.list(paths::function(open.back()));
        open.pop_back();
        for (const auto& name : names)
            if (const auto child = parse_pci_address(name);
                child && *child != bridge && found.insert(*child).second)
                open.push_back(*child);
    }
    return {found.begin(), found.end()};
}

std::string bound_driver(const SysReader& reader, const PciAddress& address)
{
    const auto driver = reader.read_link(paths::function(address, "driver")).value_or("");
    return std::string(last_name(driver));
}

std::optional<Function> read_function(const SysReader& reader, const PciAddress& address)
{
    const FunctionReader from(reader, address);
    if (!from.present()) return std::nullopt;
    Function function;
    function.address = address;
    place_function(reader.read_link(paths::function(address)).value_or(""), function);
    read_ids(from, function);
    read_bridge(reader, from, function);
    read_group(reader, from, function);
    function.driver = bound_driver(reader, address);
    const auto methods = from.text("reset_method");
    for (const auto method : words_of(methods)) function.reset_methods.emplace_back(method);
    function.virtual_function = from.has("physfn");
    function.virtual_functions = from.virtual_functions();
    function.boot_vga = from.text("boot_vga").starts_with('1');
    function.bars = parse_bars(from.text("resource"));
    return function;
}

// "none [integrity] confidentiality": anything but none forbids it.
std::optional<bool> locked_down(const SysReader& reader)
{
    const auto text = reader.read(std::string(paths::kernel_lockdown)).value_or("");
    if (text.find('[') == std::string::npos) return std::nullopt;
    return text.find("[none]") == std::string::npos;
}

std::optional<ConfigSpace> read_config_space(const SysReader& reader, const PciAddress& address,
                                             Milliseconds timeout)
{
    const auto outcome = reader.read_within(paths::function(address, "config"), config_bytes, timeout);
    if (!outcome.done()) return std::nullopt;
    return parse_config_space(outcome.text);
}

} // namespace pvegpu
