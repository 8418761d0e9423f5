// The number of a guest, and the name of the node that it is on.
#pragma once

#include "base/text.hpp"

#include <optional>
#include <string_view>

namespace pvegpu {

inline constexpr unsigned largest_vmid = 999'999'999;

// Nothing for a text that Proxmox does not take for one (pve-vmid in pve-common's JSONSchema.pm): no other
// digits than the number's own, 100 to 999999999.
inline std::optional<unsigned> parse_vmid(std::string_view text)
{
    constexpr unsigned lowest = 100;
    const auto number = parse_decimal(text);
    if (text.starts_with('0') || !number || *number < lowest || *number > largest_vmid) return std::nullopt;
    return number;
}

// pve-node in JSONSchema.pm: letters, digits and inner hyphens; so it is safe as part of a path.
inline bool is_node_name(std::string_view text)
{
    const auto allowed = [](char c) { return is_alnum(c) || c == '-'; };
    return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) && consists_of(text, allowed);
}

} // namespace pvegpu
