// How a test builds the PCI part of the fake machine.
#include "fake_pci.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace pvegpu::testing {
namespace {

std::string hex(unsigned value, int digits)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%0*x\n", digits, value);
    return text.data();
}

std::string joined(const std::vector<std::string>& words)
{
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    return text + '\n';
}

} // namespace

std::string FakePci::place(const std::string& parent, const PciAddress& address)
{
    const auto root = root_buses_.find(bus_of(address));
    if (!parent.empty()) return directory(address_of(parent)) + '/' + to_string(address);
    if (root != root_buses_.end()) return root->second + '/' + to_string(address);
    const auto host_bridge = "/sys/devices/pci" + to_string(bus_of(address));
    root_buses_[bus_of(address)] = host_bridge;
    add_bus(host_bridge, to_string(bus_of(address)));
    return host_bridge + '/' + to_string(address);
}

void FakePci::add_bus(const std::string& directory, const std::string& bus)
{
    const auto place = directory + "/pci_bus/" + bus;
    tree_.set_write_only(place + "/rescan");
    tree_.set_sysfs_link(place + "/subsystem", "/sys/class/pci_bus");
    tree_.set_sysfs_link(place + "/device", directory);
    tree_.set_sysfs_link(paths::join(paths::pci_buses, bus), place);
}

void FakePci::write_common(const std::string& directory, const FunctionFacts& facts, bool bridge)
{
    tree_.set_file(directory + "/vendor", hex(facts.vendor, 4));
    tree_.set_file(directory + "/device", hex(facts.device, 4));
    tree_.set_file(directory + "/subsystem_vendor", hex(facts.subsystem_vendor, 4));
    tree_.set_file(directory + "/subsystem_device", hex(facts.subsystem_device, 4));
    tree_.set_file(directory + "/class", hex(facts.class_code, 6));
    if (!bridge) tree_.set_file(directory + "/config", fake_config(facts));
}

void FakePci::place_bars(std::vector<Bar>& bars)
{
    for (auto& bar : bars) {
        if (!bar.assigned || bar.start != 0) continue;
        bar.start = (next_bar_ + bar.size - 1) / bar.size * bar.size;
        next_bar_ = bar.start + bar.size;
    }
}

void FakePci::write_bars(const std::string& directory, const std::vector<Bar>& bars, bool bridge)
{
    tree_.set_file(directory + "/resource", resource_text(bars, bridge));
    write_bar_files(directory, bars);
}

void FakePci::write_bar_files(const std::string& directory, const std::vector<Bar>& bars)
{
    for (unsigned index = 0; index < 6; ++index) tree_.erase(directory + "/resource" + std::to_string(index));
    for (const auto& bar : bars)
        if (bar.assigned) tree_.set_write_only(directory + "/resource" + std::to_string(bar.index));
}

FakeReturn& FakePci::add_function(const std::string& parent, const std::string& text, FunctionFacts facts)
{
    const auto address = address_of(text);
    const auto directory = place(parent, address);
    tree_.add_directory(directory);
    for (const auto* name : {"/remove", "/rescan"}) tree_.set_write_only(directory + name);
    connect(address, directory);
    const bool bridge = bridges_.contains(address);
    write_common(directory, facts, bridge);
    place_bars(facts.bars);
    write_bars(directory, facts.bars, bridge);
    for (const auto index : facts.resizable_bars)
        tree_.set_file(directory + "/resource" + std::to_string(index) + "_resize", "00000000000fff00\n");
    tree_.set_file(directory + "/driver_override", "(null)\n");
    tree_.set_file(directory + "/power/control", "on\n");
    tree_.set_file(directory + "/power_state", "D0\n");
    tree_.set_file(directory + "/d3cold_allowed", "1\n");
    tree_.set_file(directory + "/enable", "0\n");
    if (!facts.reset_methods.empty()) {
        tree_.set_write_only(directory + "/reset");
        tree_.set_file(directory + "/reset_method", joined(facts.reset_methods));
        offered_[address] = attribute(address, "reset_method");
    }
    if (facts.boot_vga) tree_.set_file(directory + "/boot_vga", *facts.boot_vga ? "1\n" : "0\n");
    if (facts.no_bus_reset) no_bus_reset_.insert(address);
    join_group(address, facts.group.value_or(next_group_));
    return returns_[address];
}

PcieType FakePci::bridge_type(const std::string& parent, const BridgeFacts& facts) const
{
    if (facts.type) return *facts.type;
    if (parent.empty()) return PcieType::root_port;
    const auto above = bridges_.find(address_of(parent));
    const bool upstream_above = above != bridges_.end() && above->second.type == PcieType::switch_upstream;
    return upstream_above ? PcieType::switch_downstream : PcieType::switch_upstream;
}

std::uint8_t FakePci::unused_bus(std::uint32_t domain) const
{
    std::uint8_t bus = 1;
    for (const auto& [address, facts] : bridges_)
        if (address.domain == domain)
            bus = std::max(bus, static_cast<std::uint8_t>(*facts.secondary_bus + 1));
    return bus;
}

FakeReturn& FakePci::add_bridge(const std::string& parent, const std::string& text, BridgeFacts facts)
{
    const auto address = address_of(text);
    facts.secondary_bus = facts.secondary_bus.value_or(unused_bus(address.domain));
    facts.type = bridge_type(parent, facts);
    bridges_[address] = facts;
    FunctionFacts common;
    common.vendor = facts.vendor;
    common.device = facts.device;
    common.class_code = 0x060400;
    common.bars.clear();
    common.reset_methods.clear();
    common.group = facts.group;
    add_function(parent, text, common);
    const auto directory = this->directory(address);
    if (facts.reset_subordinate) tree_.set_write_only(directory + "/reset_subordinate");
    set_attribute(address, "secondary_bus_number", std::to_string(*facts.secondary_bus));
    add_bus(directory, to_string(PciBus{address.domain, *facts.secondary_bus}));
    widen_bridges_above(directory, *facts.secondary_bus);
    return returns_[address];
}

// Writes the range of buses that a bridge passes on, into its own files and those of the bridges above it.
void FakePci::widen_bridges_above(const std::string& directory, std::uint8_t bus)
{
    for (auto path = directory; !path.empty(); path = directory_of(path)) {
        const auto address = parse_pci_address(base_name(path));
        if (!address || !bridges_.contains(*address)) continue;
        const auto now = attribute(*address, "subordinate_bus_number");
        const auto highest = std::max<int>(now.empty() ? 0 : std::stoi(now), bus);
        set_attribute(*address, "subordinate_bus_number", std::to_string(highest));
        const auto& facts = bridges_.at(*address);
        tree_.set_file(path + "/config", fake_config(facts, {address->bus, *facts.secondary_bus,
                                                             static_cast<std::uint8_t>(highest)}));
    }
}

} // namespace pvegpu::testing
