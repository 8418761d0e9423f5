// device_table.json, compiled in by embed.cmake.
#pragma once

#include <string_view>

namespace pvegpu {

extern const std::string_view device_table_json;

} // namespace pvegpu
