#include "usage/kernel_devices.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {

KernelDevices KernelDevices::parse(std::string_view text)
{
    KernelDevices result;
    bool character = false;
    for (LineReader lines(text); lines.next();) {
        const auto line = trim(lines.line());
        if (line.ends_with("devices:")) character = line.starts_with("Character");
        const auto parts = split_once(line, ' ');
        const auto major = parts && character ? parse_decimal(parts->first) : std::nullopt;
        if (major) result.devices_.push_back({*major, std::string(trim(parts->second))});
    }
    return result;
}

std::optional<unsigned> KernelDevices::major_of(std::string_view name) const
{
    const auto* device = find_by(devices_, name, &KernelDevice::name);
    return device != nullptr ? std::optional(device->major) : std::nullopt;
}

std::string KernelDevices::name_of(unsigned major) const
{
    const auto* device = find_by(devices_, major, &KernelDevice::major);
    return device != nullptr ? device->name : "";
}

std::optional<unsigned> KernelDevices::nvidia_major() const
{
    for (const auto* name : {"nvidia", "nvidia-frontend"})
        if (const auto major = major_of(name)) return major;
    return std::nullopt;
}

KernelDevices read_kernel_devices(const SysReader& reader)
{
    return KernelDevices::parse(reader.read(std::string(paths::proc_devices)).value_or(""));
}

} // namespace pvegpu
