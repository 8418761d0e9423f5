#include "proxmox/hostpci_format.hpp"

#include "base/lists.hpp"
#include "base/pci_address.hpp"
#include "base/text.hpp"
#include "proxmox/property_string.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {

namespace {

using Problem = std::optional<std::string>; // a sentence, or nothing

bool is_host_list(std::string_view text)
{
    const auto parts = split(text, ';');
    return std::ranges::all_of(parts, is_host_selector);
}

// Proxmox matches lower case only: with upper case the line is dropped and the VM starts without the device.
Problem check_host(std::string_view value)
{
    if (is_host_list(value)) return std::nullopt;
    const std::string lowered = lower(value);
    if (is_host_list(lowered))
        return "upper-case hex digits in " + quote(value) + ", write " + quote(lowered) + " instead";
    return quote(value) + " is no PCI address of the form '01:00.0'";
}

Problem check_mapping(std::string_view value)
{
    if (is_config_id(value)) return std::nullopt;
    return quote(value) + " is no name of a mapping";
}

Problem check_boolean(std::string_view value)
{
    if (parse_boolean(value)) return std::nullopt;
    return quote(value) + " is neither 1 nor 0";
}

Problem check_without(std::string_view value, std::string_view forbidden)
{
    if (value.find_first_of(forbidden) == std::string_view::npos) return std::nullopt;
    return quote(value) + " has one of the characters " + quote(forbidden);
}

Problem check_hex_id(std::string_view value)
{
    const bool good = value.size() == 6 && value.starts_with("0x") && consists_of(value.substr(2), is_hex);
    if (good) return std::nullopt;
    return quote(value) + " is no id of the form '0x1234'";
}

Problem check_driver(std::string_view value)
{
    if (value == "vfio" || value == "keep") return std::nullopt;
    return quote(value) + " is neither 'vfio' nor 'keep'";
}

struct Key {
    std::string_view name;
    Problem (*check)(std::string_view value);
};

constexpr std::array keys = {
    Key{"host", check_host},
    Key{"mapping", check_mapping},
    Key{"rombar", check_boolean},
    Key{"romfile", [](std::string_view value) { return check_without(value, ",;"); }},
    Key{"pcie", check_boolean},
    Key{"x-vga", check_boolean},
    Key{"legacy-igd", check_boolean},
    Key{"mdev", [](std::string_view value) { return check_without(value, "/.:"); }},
    Key{"vendor-id", check_hex_id},
    Key{"device-id", check_hex_id},
    Key{"sub-vendor-id", check_hex_id},
    Key{"sub-device-id", check_hex_id},
    Key{"driver", check_driver},
};

Problem check(std::string_view name, std::string_view value, const QemuServer& server)
{
    if (name == "driver" && !server.knows_driver())
        return "qemu-server " + server.version + " does not know the key 'driver', which came with 9.0.25";
    const auto* const key = find_where(keys, [name](const Key& known) { return known.name == name; });
    if (key == nullptr) return "unknown key " + quote(name);
    Problem problem = key->check(value);
    if (problem) problem = std::string(name) + ": " + *problem;
    return problem;
}

void take(HostPci& device, std::string_view name, const std::string& value)
{
    if (name == "mapping") device.mapping = value;
    if (name == "mdev" && value != "0") device.mdev = value; // "0" is false in Perl: a plain device
    if (name == "pcie") device.pcie = parse_boolean(value).value_or(false);
    if (name == "x-vga") device.x_vga = parse_boolean(value).value_or(false);
    if (name == "legacy-igd") device.legacy_igd = parse_boolean(value).value_or(false);
    if (name == "driver") device.names_driver = true;
    if (name == "driver") device.keep_driver = value == "keep";
    if (name != "host") return;
    for (const std::string_view part : split(value, ';')) device.hosts.push_back({std::string(part)});
}

// What the format lets pass and parse_hostpci in PCI.pm dies of when the VM starts.
std::optional<Advice> start_error(const HostPci& device)
{
    if (!device.hosts.empty() && device.mapping)
        return Advice{"both 'host' and 'mapping' are set", "remove one of them"};
    if (device.hosts.empty() && !device.mapping)
        return Advice{"neither 'host' nor 'mapping' is set", "set one of them or remove the line"};
    if (device.hosts.size() > 1 && device.mdev)
        return Advice{"a mediated device cannot have several functions", "name one or remove 'mdev'"};
    return std::nullopt;
}

} // namespace

bool is_config_id(std::string_view text)
{
    const auto allowed = [](char c) { return is_alnum(c) || c == '_' || c == '-'; };
    return text.size() >= 2 && is_alpha(text.front()) && consists_of(text, allowed);
}

std::variant<HostPci, std::string> parse_hostpci(std::string_view value, const QemuServer& server)
{
    const auto parsed = parse_property_string(value, "host");
    if (const auto* const problem = std::get_if<std::string>(&parsed)) return *problem;

    HostPci device;
    for (const auto& [name, text] : std::get<Properties>(parsed)) {
        if (Problem problem = check(name, text, server)) return std::move(*problem);
        take(device, name, text);
    }
    device.start_error = start_error(device);
    return device;
}

} // namespace pvegpu
