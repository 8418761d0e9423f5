#include "base/instance_name.hpp"

#include "base/text.hpp"
#include "base/vmid.hpp"

#include <cstdint>
#include <limits>

namespace pvegpu {
namespace {

constexpr std::size_t longest_name = 63; // of a host name; a project's is kept to the same

bool is_project_name(std::string_view text)
{
    const auto allowed = [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '+' || c == '@'; };
    return !text.empty() && text.size() <= longest_name && text != "." && text != ".." &&
           consists_of(text, allowed);
}

bool is_instance_name(std::string_view text)
{
    return text.size() <= longest_name && is_node_name(text) && !consists_of(text, is_digit);
}

// FNV-1a with its own constants: the same wherever it is made.
std::uint32_t hash_of(std::string_view text)
{
    std::uint32_t hash = 2'166'136'261U;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619U;
    return hash;
}

} // namespace

std::optional<InstanceName> parse_instance_name(std::string_view text)
{
    InstanceName name;
    const auto parts = split_once(text, '/');
    if (parts) name.project = parts->first;
    name.name = parts ? parts->second : text;
    if (!is_project_name(name.project) || !is_instance_name(name.name)) return std::nullopt;
    return name;
}

unsigned number_of(const InstanceName& name)
{
    constexpr std::uint32_t room = std::numeric_limits<std::uint32_t>::max() - largest_vmid;
    return largest_vmid + 1 + hash_of(name.project + "/" + name.name) % room;
}

bool is_instance(unsigned number)
{
    return number > largest_vmid;
}

} // namespace pvegpu
