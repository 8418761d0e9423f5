// Tables of values and how a file spells them.
#pragma once

#include <algorithm>
#include <string_view>

namespace pvegpu {

template <typename Value> struct Name {
    std::string_view name;
    Value value;

    // Without it clang 14 cannot deduce Value.
    constexpr Name(std::string_view spelling, Value meaning) : name(spelling), value(meaning) {}
};

// The end of the table if there is no such name.
template <typename Names> constexpr auto find_name(const Names& names, std::string_view name)
{
    return std::find_if(names.begin(), names.end(), [name](const auto& known) { return known.name == name; });
}

} // namespace pvegpu
