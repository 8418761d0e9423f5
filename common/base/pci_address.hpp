// The address of a PCI function, and of a PCI bus, as sysfs writes them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

struct PciBus {
    std::uint32_t domain = 0;
    std::uint8_t bus = 0;

    auto operator<=>(const PciBus&) const = default;
};

struct PciAddress {
    std::uint32_t domain = 0; // wider than 16 bits: a VMD's domains start at 0x10000
    std::uint8_t bus = 0;
    std::uint8_t slot = 0;     // 0 to 0x1f
    std::uint8_t function = 0; // 0 to 7

    auto operator<=>(const PciAddress&) const = default;
};

// "0000:03:00.0" with lower-case hex digits and a domain of at least four of them, else nothing.
std::optional<PciAddress> parse_pci_address(std::string_view text);

std::string to_string(const PciAddress& address); // "0000:03:00.0"
std::string to_string(const PciBus& bus);         // "0000:03"
std::string quote(const PciAddress& address);     // "'0000:03:00.0'", for messages
std::string quote(const PciBus& bus);

inline PciBus bus_of(const PciAddress& address)
{
    return {address.domain, address.bus};
}

bool same_slot(const PciAddress& one, const PciAddress& other);

} // namespace pvegpu
