// A directory as another process sees it, which may be a hostile one.
#pragma once

#include "machine/system.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct InsideEntry {
    char kind = '-';     // c and b: device nodes; d, l; - for the rest
    DeviceNumber number; // of a device node
    std::string name;    // without control characters

    bool operator==(const InsideEntry&) const = default;
};

std::vector<InsideEntry> parse_inside(std::string_view lines); // of System::list_inside

// For the child that does it: the lines, and 0 or an errno. `root` is a link or directory of /proc,
// `directory` is absolute as the process sees it. Names with control characters are left out, and those that
// come after the first 65536.
int list_inside(const std::string& root, const std::string& directory, const std::string& prefix,
                std::string& lines);

} // namespace pvegpu
