#include "recovery/link_switches.hpp"

#include "base/text.hpp"

#include <string>

namespace pvegpu {

bool is_link_switch(std::string_view path)
{
    return path.find("/link/") != std::string_view::npos;
}

bool links_wait_for_a_driver(const SysReader& reader)
{
    // powersave and powersupersave
    return reader.read("/sys/module/pcie_aspm/parameters/policy").value_or("").find("[powers") !=
           std::string::npos;
}

bool says(const SysReader& reader, const std::string& path, std::string_view text)
{
    const auto now = reader.read(path);
    return now && trim(*now) == text && !(is_link_switch(path) && links_wait_for_a_driver(reader));
}

} // namespace pvegpu
