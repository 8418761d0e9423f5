#include "proxmox/property_string.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

namespace pvegpu {

std::variant<Properties, std::string> parse_property_string(std::string_view text,
                                                            std::string_view default_key)
{
    Properties properties;
    bool default_seen = false;
    for (const std::string_view part : split(text, ',')) {
        if (is_blank(part)) continue;
        const auto halves = split_once(part, '=');
        if (!halves && default_key.empty()) return quote(part) + " has no key";
        const auto [key, value] = halves.value_or(std::pair(default_key, part));
        if (key.empty() || value.empty()) return "a key or its value is missing in " + quote(part);
        auto* const earlier =
            find_where(properties, [&key = key](const auto& one) { return one.first == key; });
        // JSONSchema.pm asks for the default key whether it has a true value in Perl's sense, so a "0" given
        // by name before is replaced instead of being a duplicate.
        const bool replaced = !halves && !default_seen && earlier != nullptr && earlier->second == "0";
        if (earlier != nullptr && !replaced) return "the key " + quote(key) + " comes twice";
        default_seen = default_seen || !halves;
        if (replaced)
            earlier->second = value;
        else
            properties.emplace_back(key, value);
    }
    return properties;
}

std::optional<bool> parse_boolean(std::string_view text)
{
    const std::string word = lower(text);
    if (word == "1" || word == "on" || word == "yes" || word == "true") return true;
    if (word == "0" || word == "off" || word == "no" || word == "false") return false;
    return std::nullopt;
}

} // namespace pvegpu
