// The number of a guest.
#pragma once

#include "base/text.hpp"

#include <optional>
#include <string_view>

namespace pvegpu {

// Nothing for a text that Proxmox does not take for one (pve-vmid in pve-common's JSONSchema.pm): no other
// digits than the number's own, 100 to 999999999.
inline std::optional<unsigned> parse_vmid(std::string_view text)
{
    constexpr unsigned lowest = 100;
    constexpr unsigned highest = 999'999'999;
    const auto number = parse_decimal(text);
    if (text.starts_with('0') || !number || *number < lowest || *number > highest) return std::nullopt;
    return number;
}

} // namespace pvegpu
