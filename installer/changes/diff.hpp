// A unified diff of two texts, as diff -u prints it.
#pragma once

#include <optional>
#include <string>

namespace pvegpu {

// Nothing stands for a file that is not there; it is shown as /dev/null. Empty if there is no difference.
std::string unified_diff(const std::string& path, const std::optional<std::string>& before,
                         const std::optional<std::string>& after);

} // namespace pvegpu
