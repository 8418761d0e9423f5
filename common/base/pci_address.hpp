// The address of a PCI function, and of a PCI bus, as sysfs writes them.
#pragma once

#include <compare>
#include <cstddef>
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

// Of vendor and device as lspci -n writes them, "10de:2204", in upper or lower case.
bool is_id_pair(std::string_view text);

// What PCIRE of qemu-server's QemuServer/PCI.pm matches, "01:00" and "0000:01:00.1": lower-case hex, two
// digits for bus and slot, one for the function if it is there, at least four for the domain if it is there.
// Slots above 1f and functions above 7 are accepted.
bool is_host_selector(std::string_view text);

// The same, and how long it is at the front of a text; 0 if there is none. The function is left out.
std::size_t length_of_slot_with_domain(std::string_view text);

bool same_slot(const PciAddress& one, const PciAddress& other);

} // namespace pvegpu
