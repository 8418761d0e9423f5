// The one register that we write in a PCI function's configuration space.
#pragma once

namespace pvegpu {

// Bridge Control, and its bit that holds what is below in reset (PCI-to-PCI Bridge Architecture Specification
// 3.2.5.18).
inline constexpr unsigned bridge_control = 0x3e;
inline constexpr unsigned char secondary_bus_reset = 0x40;

} // namespace pvegpu
