// What a test says about a PCI function of the fake machine, and the bytes of its config space.
#pragma once

#include "machine/system.hpp"
#include "pci/config_space.hpp"
#include "pci/topology.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu::testing {

struct FunctionFacts {
    std::uint16_t vendor = 0x1234, device = 0x1111;
    std::uint16_t subsystem_vendor = 0x1af4, subsystem_device = 0x1100;
    std::uint32_t class_code = 0x038000;
    std::string driver = "";                           // bound already, empty for none
    std::vector<Bar> bars = {{0, 0, 0x1000000, true}}; // start 0 and assigned: the next free address
    std::vector<std::string> reset_methods = {"bus"};
    std::optional<unsigned> group = {}; // nothing: a group of its own
    std::optional<bool> boot_vga = {};  // only a function of class VGA has this file
    bool express = true;
    unsigned link_width = 1;
    std::vector<unsigned> resizable_bars = {}; // their resourceN_resize files exist
    bool no_bus_reset = false; // the kernel's quirk: reset_subordinate above it answers ENOTTY
};

struct BridgeFacts {
    std::optional<std::uint8_t> secondary_bus = {}; // nothing: the next unused number of the domain
    std::optional<PcieType> type = {};              // nothing: as the bridge above suggests
    bool pciehp = false;                            // a slot with pciehp's port service
    bool reset_subordinate = true;
    unsigned link_width = 16;
    bool link_active = true;
    bool link_active_reported = true;
    std::string driver = "pcieport";
    std::uint16_t vendor = 0x8086, device = 0x7ab8;
    std::optional<unsigned> group = {};
};

// How a function that was removed, or fell off the bus, comes back at the next rescan.
struct FakeReturn {
    std::optional<Milliseconds> late = {}; // it appears by itself so long after the rescan
    bool never = false;
    bool dead = false;
    std::optional<std::pair<std::uint16_t, std::uint16_t>> id = {};
    std::optional<Bar> smaller_bar = {};
    std::optional<std::string> group_of = {};

    FakeReturn& comes_back_after(Milliseconds wait) { return late = wait, *this; }
    FakeReturn& never_comes_back() { return never = true, *this; }
    FakeReturn& comes_back_dead() { return dead = true, *this; } // its config space reads all ones
    FakeReturn& comes_back_with_id(std::uint16_t vendor, std::uint16_t device)
    {
        return id = {vendor, device}, *this;
    }
    FakeReturn& comes_back_with_smaller_bar(unsigned index, std::uint64_t size)
    {
        return smaller_bar = Bar{index, 0, size, true}, *this;
    }
    FakeReturn& comes_back_in_group_with(std::string address) { return group_of = std::move(address), *this; }
};

struct FakeBridgeNumbers {
    std::uint8_t primary = 0, secondary = 0, subordinate = 0;
};

// 256 bytes that parse_config_space reads as these facts.
std::string fake_config(const FunctionFacts& facts);
std::string fake_config(const BridgeFacts& facts, const FakeBridgeNumbers& numbers);

// The text of sysfs's `resource`, and the other way round.
std::string resource_text(const std::vector<Bar>& bars, bool bridge);
std::vector<Bar> bars_of(const std::string& resource_text);

} // namespace pvegpu::testing
