#include "proxmox/property_string.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace pvegpu {

namespace {

std::string duplicate(std::string_view key)
{
    return "the key " + quote(key) + " comes twice";
}

class PropertyStringParser {
public:
    explicit PropertyStringParser(std::string_view default_key) : default_key_(default_key) {}

    // Each returns a sentence that says what is wrong, or nothing.
    std::optional<std::string> read(std::string_view part)
    {
        if (is_blank(part)) return std::nullopt;
        const auto halves = split_once(part, '=');
        if (!halves) return read_default(part);
        if (halves->first.empty() || halves->second.empty())
            return "a key or its value is missing in " + quote(part);
        return read_pair(halves->first, halves->second);
    }

    Properties take() { return std::move(properties_); }

private:
    std::optional<std::string> read_pair(std::string_view key, std::string_view value)
    {
        if (find(key) != properties_.end()) return duplicate(key);
        properties_.emplace_back(key, value);
        return std::nullopt;
    }

    // JSONSchema.pm asks here whether the key has a true value in Perl's sense, so a "0" given by name
    // before is replaced instead of being a duplicate.
    std::optional<std::string> read_default(std::string_view value)
    {
        if (default_key_.empty()) return quote(value) + " has no key";
        if (default_seen_) return duplicate(default_key_);
        default_seen_ = true;
        const auto earlier = find(default_key_);
        if (earlier == properties_.end()) return read_pair(default_key_, value);
        if (earlier->second != "0") return duplicate(default_key_);
        earlier->second = value;
        return std::nullopt;
    }

    Properties::iterator find(std::string_view key)
    {
        return std::ranges::find_if(properties_,
                                    [key](const auto& property) { return property.first == key; });
    }

    std::string_view default_key_;
    bool default_seen_ = false;
    Properties properties_;
};

} // namespace

std::variant<Properties, std::string> parse_property_string(std::string_view text,
                                                            std::string_view default_key)
{
    PropertyStringParser parser(default_key);
    for (const std::string_view part : split(text, ','))
        if (auto problem = parser.read(part)) return std::move(*problem);
    return parser.take();
}

std::optional<bool> parse_boolean(std::string_view text)
{
    const std::string word = lower(text);
    if (word == "1" || word == "on" || word == "yes" || word == "true") return true;
    if (word == "0" || word == "off" || word == "no" || word == "false") return false;
    return std::nullopt;
}

} // namespace pvegpu
