// JSON of our own: files below /run and /var/lib, and the answers of '--json'.
#pragma once

#include "base/pci_address.hpp"

#include <cstdint>
#include <exception>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

using Json = nlohmann::ordered_json;

// As nlohmann::json finds them for values and lists. Reading throws std::exception for what is no address.
inline void to_json(Json& json, const PciAddress& address)
{
    json = to_string(address);
}
inline void from_json(const Json& json, PciAddress& address)
{
    address = parse_pci_address(json.get<std::string>()).value();
}

template <typename Value> Json or_null(const std::optional<Value>& value)
{
    return value ? Json(*value) : Json(nullptr);
}
inline Json or_null(const std::string& text) // null for an empty text
{
    return text.empty() ? Json(nullptr) : Json(text);
}

// Nothing for what is no whole number from 0 to the largest that fits. get<> of nlohmann::json takes numbers
// of every kind: a part of one that does not fit, undefined behaviour for 1e30.
template <typename Number> std::optional<Number> whole_number(const Json& json)
{
    if (!json.is_number_unsigned()) return std::nullopt;
    const auto value = json.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<Number>::max())) return std::nullopt;
    return static_cast<Number>(value);
}

// A member, as long as `json` lives; null if there is none.
inline const Json& member(const Json& json, std::string_view key)
{
    static const Json none;
    const auto found = json.is_object() ? json.find(std::string(key)) : json.end();
    return found != json.end() ? *found : none;
}

// The text of a member; empty if there is none, or it is no text.
inline std::string text_in(const Json& json, std::string_view key)
{
    const auto& value = member(json, key);
    return value.is_string() ? value.get<std::string>() : "";
}

// What `read` makes of a text of ours; nothing of a damaged one: what is no JSON, or makes `read` throw.
template <typename Read>
auto read_or_nothing(std::string_view text, Read read) -> std::optional<decltype(read(Json()))>
{
    try {
        return read(Json::parse(text));
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

// Two spaces for each level, and a line end. Text from a device or a file may be no UTF-8; it is shown with
// replacements rather than not at all.
inline std::string print(const Json& json)
{
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace pvegpu
