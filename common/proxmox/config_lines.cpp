#include "proxmox/config_lines.hpp"

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

} // namespace pvegpu
