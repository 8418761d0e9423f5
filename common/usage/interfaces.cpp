#include "usage/interfaces.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// The device is the first word of each line.
bool has_route(const SysReader& reader, std::string_view name)
{
    const auto text = reader.read(std::string(paths::routes)).value_or("");
    for (LineReader lines(text); lines.next();)
        if (const auto words = words_of(lines.line()); !words.empty() && words.front() == name) return true;
    return false;
}

// address, index, length of the prefix, scope, flags, device. Every interface that is up has an address of
// its link: that one is nobody's use of it.
bool has_global_address(const SysReader& reader, std::string_view name)
{
    constexpr std::string_view link_scope = "20"; // IPV6_ADDR_LINKLOCAL of include/net/ipv6.h
    const auto text = reader.read(std::string(paths::ipv6_addresses)).value_or("");
    for (LineReader lines(text); lines.next();)
        if (const auto words = words_of(lines.line());
            words.size() == 6 && words[5] == name && words[3] != link_scope)
            return true;
    return false;
}

// In a child of its own: see paths::ipv4_interfaces. An address without a route in the main table is a use
// too: a /32, or one with routes in another table.
std::string ipv4_use(const SysReader& reader, std::string_view name)
{
    constexpr std::size_t most = 65'536; // some thousand interfaces
    constexpr Milliseconds answers_within{2'000};
    const auto outcome = reader.read_within(std::string(paths::ipv4_interfaces), most, answers_within);
    if (outcome.still_running()) return "whose addresses the kernel does not tell";
    for (LineReader lines(outcome.text); lines.next();)
        if (lines.line() == name) return "which has an address";
    return "";
}

} // namespace

std::string use_of_interface(const SysReader& reader, const std::string& directory)
{
    if (const auto master = reader.read_link(paths::join(directory, "master")))
        return "which is in " + quote(last_name(*master)); // a bridge, a bond, a team or a VRF
    constexpr std::string_view upper = "upper_";
    for (const auto& name : reader.list(directory))
        if (name.starts_with(upper)) return "on which " + quote(name.substr(upper.size())) + " stands";
    const auto name = last_name(directory);
    if (has_global_address(reader, name)) return "which has an address";
    return has_route(reader, name) ? "which carries a route" : ipv4_use(reader, name);
}

} // namespace pvegpu
