// PCI functions as sysfs describes them, and what can be asked of them without touching the machine.
#pragma once

#include "base/lists.hpp"
#include "base/pci_address.hpp"
#include "pci/config_space.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct Bar {
    unsigned index = 0; // 0 to 5; the expansion ROM is left out, nothing of ours depends on it
    std::uint64_t start = 0;
    std::uint64_t size = 0; // bytes
    bool assigned = false;  // false: the kernel found no room for it
    bool io = false;        // I/O ports, which no driver of a modern card needs
    bool wide = false;      // of 64 bits: it may lie above 4 GiB

    bool operator==(const Bar&) const = default;
};

// What a bridge passes on to what is below it.
struct BusNumbers {
    std::uint8_t secondary = 0, subordinate = 0;

    bool operator==(const BusNumbers&) const = default;
};
std::string to_string(const BusNumbers& numbers); // "02 04"

// The bus numbers that the kernel has given to what is below a bridge.
struct BusRange {
    PciBus first;
    std::uint8_t last = 0;

    bool has(const PciBus& bus) const
    {
        return bus.domain == first.domain && bus.bus >= first.bus && bus.bus <= last;
    }
};

struct Function {
    PciAddress address;
    std::vector<PciAddress> above;          // the bridges above it, the outermost first; empty on a root bus
    bool behind_nested_host_bridge = false; // a VMD's domain: a host bridge that is itself a PCI function
    std::uint16_t vendor = 0, device = 0, subsystem_vendor = 0, subsystem_device = 0;
    std::uint32_t class_code = 0; // 0x030000
    bool bridge = false;
    std::optional<PciBus> secondary_bus; // of a bridge, as the kernel has numbered it
    std::uint8_t subordinate_bus = 0;    // of a bridge: the highest bus number below it
    BusNumbers registers;                // of a bridge: the same as its registers have it at this moment
    std::string driver;                  // empty: none bound
    std::optional<unsigned> iommu_group;
    std::vector<PciAddress> group_members; // of the group, this function and bridges included
    std::vector<std::string> reset_methods;
    bool has_reset_subordinate = false;
    bool virtual_function = false;
    std::size_t virtual_functions = 0; // of an SR-IOV parent: how many exist
    bool boot_vga = false;
    std::vector<Bar> bars;
    std::optional<ConfigSpace> config; // nothing where it was not read

    bool flr() const { return contains(reset_methods, "flr"); }
    std::optional<BusRange> buses() const; // of a bridge
};

// The numbers of its memory BARs that the kernel has found no room for. It shows nothing at all of such a
// one; the register still tells that it exists. Empty where the configuration space was not read or does not
// answer.
std::vector<unsigned> bars_without_memory(const Function& function);

std::string device_id(const Function& function);    // "8086:56a6"
std::string subsystem_id(const Function& function); // "1849:6006"

enum class Role { gpu, companion, neighbour };
std::string to_string(Role role);

bool is_gpu(const Function& function);            // class 0x03 or 0x12, and no bridge
std::string class_word(const Function& function); // for people: "GPU", "audio", "USB", "disk", "net", "other"
bool is_companion(const Function& function);      // audio, USB, serial bus, SMBus, communication

// The functions around the devices in question: closed upwards (every bridge above is there), and every
// function below the root port of each, and every member of their IOMMU groups.
class Topology {
public:
    std::map<PciAddress, Function> functions;

    const Function* find(const PciAddress& address) const; // nullptr if it is absent
    // Throws std::out_of_range.
    const Function& at(const PciAddress& address) const { return functions.at(address); }

    const Function* bridge_above(const Function& function) const; // nullptr on a root bus

    // Everything below a bridge, at any depth, in the order of addresses.
    std::vector<const Function*> below(const Function& bridge) const;
    std::vector<const Function*> on_slot_of(const Function& function) const; // itself included
};

} // namespace pvegpu
