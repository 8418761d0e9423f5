// Files of sections, as PVE::SectionConfig (pve-common) reads them: "type: id", then indented "key value"
// lines.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct ConfigSection {
    std::string type, id; // empty of a section whose first line is not like that
    std::map<std::string, std::string, std::less<>> settings; // of two with one key the first

    std::string_view get(std::string_view key) const; // empty if there is none
    bool is_set(std::string_view key) const;          // a boolean; a key alone is true
};

std::vector<ConfigSection> parse_sections(std::string_view text);

// "a,b" without the blanks around them; empty ones are left out.
std::vector<std::string> parse_list(std::string_view text);

} // namespace pvegpu
