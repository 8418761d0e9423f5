// Whether a settings file says what can be said in one.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace pvegpu {

// Throws Error(invalid_config) with `path` and the key for one that is unknown or whose value is out of
// range. Ids of devices become lower case in `all`.
void check_settings_file(nlohmann::json& all, const std::string& path);

} // namespace pvegpu
