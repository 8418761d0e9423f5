// The PCI part of the fake machine's sysfs: functions, bridges, buses and IOMMU groups; what is taken off the
// bus, and how it comes back. Binding drivers is fake_drivers.hpp's.
#pragma once

#include "fake_facts.hpp"
#include "fake_tree.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace pvegpu::testing {

// Places of sysfs that the programs do not name.
inline constexpr std::string_view sys_devices = "/sys/devices"; // where the links of the others end
inline constexpr std::string_view pci_express_services = "/sys/bus/pci_express/devices";

PciAddress address_of(const std::string& text); // throws std::invalid_argument

class FakePci {
public:
    explicit FakePci(FakeTree& tree);

    // `parent` is the bridge above, or "" on a root bus. The first addition of a root bus makes it.
    FakeReturn& add_bridge(const std::string& parent, const std::string& address, BridgeFacts facts);
    FakeReturn& add_function(const std::string& parent, const std::string& address, FunctionFacts facts);
    void set_group(unsigned group, const std::vector<std::string>& addresses);

    // The directory under /sys/devices with all links followed; "" if it is not on the bus.
    std::string directory(const PciAddress& address) const;
    bool present(const PciAddress& address) const { return !directory(address).empty(); }
    // At the directory and below it, in the order of the way down.
    std::vector<PciAddress> at_and_below(const std::string& directory) const;
    std::vector<PciAddress> shelved_at_and_below(const std::string& directory) const;
    std::string id(const PciAddress& address) const; // "8086:56a6"
    std::string attribute(const PciAddress& address, const std::string& name) const;
    void set_attribute(const PciAddress& address, const std::string& name, const std::string& text);
    bool is_bridge(const PciAddress& address) const { return !attribute(address, "pci_bus").empty(); }
    void forget_group(const PciAddress& address) { leave_group(address), freed_groups_.clear(); }
    std::string group(const PciAddress& address) const; // its number, "" if it has none

    void take_away(const PciAddress& address); // no driver may be bound any more
    // The functions that the machine would find below this directory now: parents first.
    std::vector<PciAddress> missing_below(const std::string& directory) const;
    // `room`: the windows above it are sized anew, so that its BARs find room.
    void bring_back(const PciAddress& address, bool room);

    bool is_shelved_bridge(const PciAddress& address) const;
    void lose_config(const PciAddress& address); // reads all ones
    // A bridge whose config space was lost while it was on the bus: all below reads all ones as well, and a
    // rescan finds nothing there.
    void lose_branch(const PciAddress& bridge);
    // The registers of a bridge say that nothing but its own bus is below it: a rescan finds nothing there.
    void lose_numbers(const PciAddress& bridge);
    void set_config_byte(const PciAddress& address, unsigned offset, unsigned value);
    unsigned config_byte(const PciAddress& address, unsigned offset) const;
    void resize_bar(const PciAddress& address, unsigned index, std::uint64_t size);
    FakeReturn& returning(const PciAddress& address) { return returns_[address]; }
    std::string offered_reset_methods(const PciAddress& address) const
    {
        const auto found = offered_.find(address);
        return found == offered_.end() ? "" : found->second;
    }
    bool quirk_no_bus_reset(const PciAddress& address) const { return no_bus_reset_.contains(address); }

private:
    struct Shelved {
        std::string directory;
        FakeNodes nodes;
        std::set<PciAddress> mates; // of its IOMMU group
        std::string group;
    };

    std::string place(const std::string& parent, const PciAddress& address);
    void write_common(const std::string& directory, const FunctionFacts& facts, bool bridge);
    void write_bars(const std::string& directory, const std::vector<Bar>& bars, bool bridge);
    void write_bar_files(const std::string& directory, const std::vector<Bar>& bars);
    void place_bars(std::vector<Bar>& bars);
    void connect(const PciAddress& address, const std::string& directory);
    void disconnect(const PciAddress& address, const std::string& directory);
    void add_bus(const std::string& directory, const std::string& bus);
    void widen_bridges_above(const std::string& directory, std::uint8_t bus);
    void join_group(const PciAddress& address, unsigned group);
    void leave_group(const PciAddress& address);
    void rejoin_group(const PciAddress& address, const Shelved& shelved);
    unsigned group_after_return(const PciAddress& address, const Shelved& shelved);
    void reset_defaults(const PciAddress& address, bool room);
    void return_bars(const PciAddress& address, bool room);
    void remember_health(const PciAddress& address);
    PcieType bridge_type(const std::string& parent, const BridgeFacts& facts) const;
    std::uint8_t unused_bus(std::uint32_t domain) const;

    FakeTree& tree_;
    std::map<PciBus, std::string> root_buses_;
    std::map<PciAddress, BridgeFacts> bridges_;
    std::map<PciAddress, Shelved> shelf_;
    std::map<PciAddress, std::string> healthy_config_, healthy_resource_;
    std::map<PciAddress, FakeReturn> returns_;
    std::set<PciAddress> lost_;
    std::set<PciAddress> no_bus_reset_;
    std::map<PciAddress, std::string> offered_; // reset methods
    std::set<unsigned> freed_groups_;
    unsigned next_group_ = 0;
    std::uint64_t next_bar_ = 0xc0000000;
};

} // namespace pvegpu::testing
