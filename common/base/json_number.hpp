// Whole numbers in JSON of our own.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace pvegpu {

// Nothing for what is no whole number from 0 to the largest that fits. get<> of nlohmann::json takes numbers
// of every kind: a part of one that does not fit, undefined behaviour for 1e30.
template <typename Number, typename Json> std::optional<Number> whole_number(const Json& json)
{
    if (!json.is_number_unsigned()) return std::nullopt;
    const auto value = json.template get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<Number>::max())) return std::nullopt;
    return static_cast<Number>(value);
}

} // namespace pvegpu
