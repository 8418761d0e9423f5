// Whether a settings file says what can be said in one.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace pvegpu {

// Throws Error(invalid_config) with `path` and the line for an unknown or doubled key or a value out of
// range. `text` is what `all` was parsed from. Ids of devices become lower case in `all`.
void check_settings_file(nlohmann::json& all, std::string_view text, const std::string& path);

} // namespace pvegpu
