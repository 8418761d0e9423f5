#include "fuzz.hpp"
#include "printers.hpp"
#include "proxmox/config_lines.hpp"
#include "proxmox/hostpci_format.hpp"

#include <set>
#include <string>

using namespace pvegpu;

namespace {

// What is taken for a hostpci line is taken again as it is printed.
void check_hostpci(std::string_view text)
{
    const auto parsed = parse_hostpci(text);
    const auto* const device = std::get_if<HostPci>(&parsed);
    if (device == nullptr) return fuzz::require_printable(std::get<std::string>(parsed));
    const auto again = parse_hostpci(fuzz::print(*device));
    fuzz::require(std::holds_alternative<HostPci>(again) && fuzz::same(std::get<HostPci>(again), *device));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text = fuzz::text_of(data, size);
    check_hostpci(text);
    const auto result = parse_property_string(text, "host");
    if (const auto* const problem = std::get_if<std::string>(&result)) {
        fuzz::require_printable(*problem);
        return 0;
    }
    std::set<std::string> keys;
    const auto& properties = std::get<Properties>(result);
    for (const auto& [key, value] : properties)
        fuzz::require(!key.empty() && !value.empty() && keys.insert(key).second);
    const auto again = parse_property_string(fuzz::print(properties), "host");
    fuzz::require(std::holds_alternative<Properties>(again) && std::get<Properties>(again) == properties);
    return 0;
}
