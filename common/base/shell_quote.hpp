// Words for a shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// The word as a shell reads it back; as it is where nothing in it needs quotes.
std::string shell_quoted(std::string_view word);
std::string shell_line(const std::vector<std::string>& words);

} // namespace pvegpu
