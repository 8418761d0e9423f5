// What a person is told who shows us a message, or a whole log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// Each message that is known, once for each device: how often it came, its cause and its remedy with the
// names of these guests. Causes stand before what they bring about, harmless messages last. Empty where none
// of the lines is known.
std::string explain(std::string_view text, const std::vector<unsigned>& vms = {},
                    const std::vector<unsigned>& containers = {});

} // namespace pvegpu
