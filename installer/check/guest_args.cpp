#include "check/guest_args.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "proxmox/vm_args.hpp"

namespace pvegpu {
namespace {

// "03:00.0" is of domain 0000 (QEMU's property of type PCIHostDeviceAddress).
std::optional<PciAddress> address_of(std::string_view text)
{
    if (const auto slash = text.rfind('/'); slash != std::string_view::npos) text.remove_prefix(slash + 1);
    if (const auto address = parse_pci_address(lower(text))) return address;
    return parse_pci_address("0000:" + lower(text));
}

std::string text_of(const Json& value)
{
    if (value.is_string()) return value.get<std::string>();
    return value.is_boolean() ? (value.get<bool>() ? "on" : "off") : value.dump();
}

// "vfio-pci,host=03:00.0,x-vga=on", or {"driver":"vfio-pci","host":"03:00.0"}: keys and values.
std::vector<std::pair<std::string, std::string>> properties_of(const std::string& value)
{
    std::vector<std::pair<std::string, std::string>> found;
    if (value.starts_with('{')) {
        const auto json = Json::parse(value, nullptr, false);
        if (json.is_object())
            for (const auto& [key, one] : json.items()) found.emplace_back(key, text_of(one));
        return found;
    }
    for (const auto part : split(value, ',')) {
        const auto pair = split_once(part, '=');
        if (pair)
            found.emplace_back(pair->first, pair->second);
        else
            found.emplace_back(found.empty() ? "driver" : std::string(part), found.empty() ? part : "on");
    }
    return found;
}

std::optional<ArgsDevice> device_in(const std::string& value, std::size_t word)
{
    ArgsDevice device{{}, {}, word};
    bool vfio = false, found = false;
    for (const auto& [key, text] : properties_of(value)) {
        if (key == "driver") {
            vfio = text == "vfio-pci" || text == "vfio-pci-nohotplug";
        } else if (key == "host" || key == "sysfsdev") {
            const auto address = address_of(text);
            found = address.has_value();
            if (address) device.address = *address;
        } else {
            device.options.emplace_back(key).append("=").append(text);
        }
    }
    return vfio && found ? std::optional(device) : std::nullopt;
}

} // namespace

std::vector<std::string> shell_words(std::string_view text)
{
    std::vector<std::string> words;
    for (auto& word : args_words(text).words) words.push_back(std::move(word.text));
    return words;
}

std::vector<ArgsDevice> devices_in_args(const std::vector<std::string>& words)
{
    std::vector<ArgsDevice> devices;
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        if (words[i] == "-device" || words[i] == "--device")
            if (auto device = device_in(words[i + 1], i)) devices.push_back(std::move(*device));
    return devices;
}

std::vector<PciAddress> passed_by_args(std::string_view args)
{
    std::vector<PciAddress> addresses;
    for (const auto& device : devices_in_args(shell_words(args))) addresses.push_back(device.address);
    return addresses;
}

} // namespace pvegpu
