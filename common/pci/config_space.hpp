// The parts of a PCI function's configuration space that sysfs does not tell, parsed from the bytes of its
// `config` file. Offsets: PCI Local Bus Specification 3.0 chapter 6, PCI Express Base Specification 7.5.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace pvegpu {

// Bytes of `config` that hold the header and the whole list of capabilities. The extended space is not
// needed, and reading less of a sick device is better.
inline constexpr unsigned config_bytes = 256;

enum class PcieType { endpoint, root_port, switch_upstream, switch_downstream, bridge, other };

enum class Health {
    alive,
    not_ready, // answers with the vendor id 0x0001 that stands for "request retry"
    dead       // reads all ones: off the bus, or powered down
};

struct ConfigSpace {
    Health health = Health::dead;
    std::uint16_t vendor = 0xffff;
    std::uint16_t device = 0xffff;
    std::uint8_t header_type = 0x7f; // without the multi-function bit: 0 endpoint, 1 bridge
    std::optional<PcieType> pcie;    // nothing on conventional PCI
    std::uint8_t memory_bars = 0; // of an endpoint: bit N is set if BAR register N is seen to be a memory BAR
    unsigned link_width = 0;      // lanes now, 0 if there is no link
    bool link_active_reported = false; // the port can tell whether its link is up,
    bool link_active = false;          // and it is
    bool secondary_bus_reset = false;  // of a bridge: it holds what is below it in reset
};

// Fewer than 64 bytes are a dead function.
ConfigSpace parse_config_space(std::string_view bytes);

} // namespace pvegpu
