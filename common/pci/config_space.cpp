#include "pci/config_space.hpp"

#include "base/bridge_control.hpp"
#include <array>
#include <bitset>

namespace pvegpu {
namespace {

constexpr unsigned header_bytes = 64;
constexpr std::uint8_t capability_pcie = 0x10;

unsigned byte_at(std::string_view bytes, unsigned offset)
{
    return offset < bytes.size() ? static_cast<unsigned char>(bytes[offset]) : 0xffU;
}

unsigned word_at(std::string_view bytes, unsigned offset)
{
    return byte_at(bytes, offset) | (byte_at(bytes, offset + 1) << 8U);
}

// Where a capability starts, 0 if the function has none of that kind. A sick device may show a list that
// bites its own tail, so each offset is visited once.
unsigned find_capability(std::string_view bytes, unsigned wanted)
{
    constexpr unsigned status_has_list = 0x10;
    if ((word_at(bytes, 0x06) & status_has_list) == 0) return 0;
    std::bitset<256> seen;
    for (unsigned at = byte_at(bytes, 0x34) & 0xfcU; at >= header_bytes && at < bytes.size() && !seen[at];
         at = byte_at(bytes, at + 1) & 0xfcU) {
        if (byte_at(bytes, at) == wanted) return at;
        seen[at] = true;
    }
    return 0;
}

// By the Device/Port Type, 0x0 to 0x9.
PcieType type_of(unsigned pcie_capabilities)
{
    using enum PcieType;
    constexpr std::array types{endpoint,        endpoint,          other,  other,  root_port,
                               switch_upstream, switch_downstream, bridge, bridge, endpoint};
    const auto type = (pcie_capabilities >> 4U) & 0xfU;
    return type < types.size() ? types.at(type) : other;
}

// A register of zeros may be a 32-bit memory BAR without an address or no BAR at all, and is not counted; any
// other shows its kind in its lowest bits also when the kernel has found no room for it (PCI 3.0, 6.2.5.1).
std::uint8_t memory_bars(std::string_view bytes)
{
    constexpr unsigned bar_count = 6;
    constexpr unsigned io = 0x1;
    constexpr unsigned kind_64_bits = 0x4;
    unsigned found = 0;
    for (unsigned index = 0; index < bar_count; ++index) {
        const unsigned at = 0x10 + 4 * index;
        const unsigned low = word_at(bytes, at);
        if ((low | word_at(bytes, at + 2)) == 0 || (low & io) != 0) continue;
        found |= 1U << index;
        if ((low & 0x6U) == kind_64_bits) ++index; // the next register is its upper half
    }
    return static_cast<std::uint8_t>(found);
}

void read_link(std::string_view bytes, unsigned pcie, ConfigSpace& space)
{
    constexpr unsigned link_capabilities_high = 0x0e; // bits 31:16 of LnkCap; bit 20 is bit 4 here
    constexpr unsigned link_status = 0x12;
    constexpr unsigned reports_active = 1U << 4U;
    constexpr unsigned active = 1U << 13U;
    const unsigned status = word_at(bytes, pcie + link_status);
    space.link_width = (status >> 4U) & 0x3fU;
    space.link_active_reported = (word_at(bytes, pcie + link_capabilities_high) & reports_active) != 0;
    space.link_active = (status & active) != 0;
}

} // namespace

ConfigSpace parse_config_space(std::string_view bytes)
{
    ConfigSpace space;
    if (bytes.size() < header_bytes) return space;
    space.vendor = static_cast<std::uint16_t>(word_at(bytes, 0x00));
    space.device = static_cast<std::uint16_t>(word_at(bytes, 0x02));
    space.header_type = static_cast<std::uint8_t>(byte_at(bytes, 0x0e) & 0x7fU);
    if (space.vendor == 0xffff || space.header_type == 0x7f) return space;
    space.health = space.vendor == 0x0001 ? Health::not_ready : Health::alive;
    if (space.health == Health::not_ready) return space;
    if (space.header_type == 0) space.memory_bars = memory_bars(bytes);
    space.secondary_bus_reset =
        space.header_type == 1 && (byte_at(bytes, bridge_control) & secondary_bus_reset) != 0;
    if (const unsigned pcie = find_capability(bytes, capability_pcie); pcie != 0) {
        space.pcie = type_of(word_at(bytes, pcie + 2));
        read_link(bytes, pcie, space);
    }
    return space;
}

} // namespace pvegpu
