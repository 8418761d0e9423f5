#include "pci/device_names.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/device_table.hpp"

#include <array>
#include <optional>

namespace pvegpu {
namespace {

// What follows an id at the beginning of a line, up to the end of the line; nothing if no line begins so.
std::optional<std::string_view> rest_after(std::string_view text, const std::string& beginning)
{
    const auto found = text.find("\n" + beginning + "  ");
    if (found == std::string_view::npos) return std::nullopt;
    const auto rest = text.substr(found + 1 + beginning.size() + 2);
    return rest.substr(0, rest.find('\n'));
}

// The lines of a vendor's devices: those that a tab or a '#' begins.
std::string_view devices_after(std::string_view text, std::string_view vendor)
{
    const auto begin = static_cast<std::size_t>(vendor.data() + vendor.size() - text.data());
    auto end = begin;
    while (end < text.size() && end + 1 < text.size() && (text[end + 1] == '\t' || text[end + 1] == '#'))
        end = std::min(text.find('\n', end + 1), text.size());
    return text.substr(begin, end - begin);
}

// "NVIDIA Corporation" -> "NVIDIA"; "Advanced Micro Devices, Inc. [AMD/ATI]" -> "AMD"
std::string_view spoken_vendor(std::string_view name)
{
    if (const auto bracket = name.rfind('['); bracket != std::string_view::npos)
        return name.substr(bracket + 1, name.find_first_of("/]", bracket) - bracket - 1);
    for (const std::string_view form : {" Corporation", " Corp", ", Inc", " Inc", " Co.,", " Ltd"})
        name = name.substr(0, name.find(form));
    return name;
}

// "DG2 [Arc A310]" -> "Arc A310"
std::string_view spoken_device(std::string_view name)
{
    const auto bracket = name.rfind('[');
    return bracket == std::string_view::npos
               ? name
               : name.substr(bracket + 1, name.find(']', bracket) - bracket - 1);
}

} // namespace

std::string name_in_pci_ids(std::string_view text, std::uint16_t vendor, std::uint16_t device)
{
    const auto maker = rest_after(text, to_hex(vendor, 4));
    if (!maker) return "";
    const auto model = rest_after(devices_after(text, *maker), "\t" + to_hex(device, 4));
    if (!model) return "";
    return std::string(spoken_vendor(*maker)) + " " + std::string(spoken_device(*model));
}

DeviceNames device_names(const SysReader& reader, const std::vector<const Function*>& functions)
{
    DeviceNames names;
    std::optional<std::string> pci_ids;
    for (const auto* function : functions) {
        auto name = device_traits(*function).name;
        if (name.empty()) {
            if (!pci_ids) pci_ids = reader.read(std::string(paths::pci_ids)).value_or("");
            name = name_in_pci_ids(*pci_ids, function->vendor, function->device);
        }
        if (!name.empty()) names.emplace(function->address, printable(name));
    }
    return names;
}

std::string device_name(const DeviceNames& names, const PciAddress& address)
{
    const auto name = names.find(address);
    return name == names.end() ? "" : name->second;
}

std::string with_name(const DeviceNames& names, const PciAddress& address)
{
    const auto name = device_name(names, address);
    return (name.empty() ? "" : name + ", ") + to_string(address);
}

std::string named(const DeviceNames& names, const Function& function)
{
    const auto name = device_name(names, function.address);
    return quote(function.address) + " (" + (name.empty() ? "" : name + ", ") + device_id(function) + ")";
}

} // namespace pvegpu
