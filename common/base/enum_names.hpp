// Tables of values and how they are spelled in a file or an answer.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace pvegpu {

template <typename Value> struct EnumName {
    std::string_view name;
    Value value;

    // Without it clang 14 cannot deduce Value.
    constexpr EnumName(std::string_view spelling, Value meaning) : name(spelling), value(meaning) {}
};

// The end of the table if there is no such name.
template <typename Names> constexpr auto find_name(const Names& names, std::string_view name)
{
    return std::ranges::find_if(names, [name](const auto& known) { return known.name == name; });
}

// "unknown" for a value that the table lacks.
template <typename Names, typename Value> std::string name_of(const Names& names, const Value& value)
{
    const auto known = std::ranges::find_if(names, [&](const auto& one) { return one.value == value; });
    return std::string(known == std::end(names) ? "unknown" : known->name);
}

} // namespace pvegpu
