// What is known of particular devices that the kernel does not tell. Data, in device_table.json, compiled in.
#pragma once

#include "pci/topology.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pvegpu {

struct DeviceTraits {
    enum class BusReset { untested, safe, unsafe };
    enum class Flr { untested, works, harmful };
    // switch_on_card: no GPU, but the upstream port of a switch that is found on graphics cards only.
    enum class CardShape { ask_topology, one_slot, whole_switch, integrated, switch_on_card };

    std::string name;
    BusReset bus_reset = BusReset::untested;
    Flr flr = Flr::untested; // what the card does, where the kernel offers flr
    CardShape shape = CardShape::ask_topology;
    std::string reset_module; // that has a reset of its own for it; empty: none is known
    std::string source;
};

// The row of that device, or a row of defaults with an empty name.
DeviceTraits device_traits(std::uint16_t vendor, std::uint16_t device);
inline DeviceTraits device_traits(const Function& function)
{
    return device_traits(function.vendor, function.device);
}

extern const std::string_view device_table_json;

// The same from another table. Throws Error for a table that breaks its rules, wherever in it.
DeviceTraits traits_from_table(std::string_view table, std::uint16_t vendor, std::uint16_t device);

} // namespace pvegpu
