#include "proxmox/config_lines.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace pvegpu {

std::optional<ConfigSetting> parse_config_setting(std::string_view line, bool dash_in_key)
{
    const auto in_name = [=](char c) { return is_lower(c) || c == '_' || (dash_in_key && c == '-'); };
    std::size_t end = count_front(line, in_name);
    if (end == 0 || !is_lower(line.front())) return std::nullopt;
    end += count_front(line.substr(end), is_digit);
    if (end + 1 >= line.size() || line[end] != ':') return std::nullopt;
    const std::string_view value = trim(line.substr(end + 1));
    return ConfigSetting{line.substr(0, end), value.empty() ? line.substr(line.size() - 1) : value};
}

bool has_config_value(std::string_view line, std::string_view key_and_colon)
{
    return line.starts_with(key_and_colon) && !is_blank(line.substr(key_and_colon.size()));
}

bool ends_in_snapstate(std::string_view line)
{
    line = trim_right(line);
    const auto ends_in = [line](std::string_view state) {
        const std::string_view before = line.substr(0, line.size() - std::min(state.size(), line.size()));
        return line.ends_with(state) && trim_right(before).ends_with("snapstate:");
    };
    return ends_in("prepare") || ends_in("delete");
}

bool is_volume_id(std::string_view value)
{
    const auto parts = split_once(value, ':');
    if (!parts || parts->first.size() < 2 || parts->second.empty()) return false;
    const auto in_name = [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; };
    const auto& storage = parts->first;
    return is_alpha(storage.front()) && is_alnum(storage.back()) && consists_of(storage, in_name);
}

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
        auto* const earlier = find_by(properties, key, &Properties::value_type::first);
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

std::string_view ConfigSection::get(std::string_view key) const
{
    const auto found = settings.find(key);
    return found == settings.end() ? std::string_view{} : found->second;
}

bool ConfigSection::is_set(std::string_view key) const
{
    const auto found = settings.find(key);
    return found != settings.end() && found->second != "0";
}

std::vector<ConfigSection> parse_sections(std::string_view text)
{
    std::vector<ConfigSection> sections;
    for (LineReader lines(text); lines.next();) {
        const auto line = trim_right(lines.line());
        if (line.empty() || trim_left(line).starts_with('#')) continue;
        if (!is_space(line.front())) {
            const auto head = split_once(line, ':');
            auto& section = sections.emplace_back();
            if (!head) continue;
            section.type = trim(head->first);
            section.id = trim(head->second);
        } else if (!sections.empty()) {
            const auto key = words_of(line).front();
            const auto value = trim(trim_left(line).substr(key.size()));
            sections.back().settings.emplace(key, value);
        }
    }
    return sections;
}

std::vector<std::string> parse_list(std::string_view text)
{
    std::vector<std::string> list;
    for (const auto part : split(text, ','))
        if (!is_blank(part)) list.emplace_back(trim(part));
    return list;
}

} // namespace pvegpu
