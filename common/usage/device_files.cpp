#include "usage/device_files.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "usage/interfaces.hpp"
#include "usage/kernel_devices.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

constexpr unsigned usual_nvidia_major = 195; // Linux's Documentation/admin-guide/devices.txt

// Directories of every device that no device node lies in, and the names of links.
constexpr std::array<std::string_view, 16> nothing_inside{
    "bdi", "device",   "driver",  "firmware_node", "integrity", "iommu",     "iommu_group", "link",
    "mq",  "msi_irqs", "pci_bus", "physfn",        "power",     "subsystem", "queue",       "trace"};

bool is_usb_root_hub(std::string_view name)
{
    return name.size() > 3 && name.starts_with("usb") && consists_of(name.substr(3), is_digit);
}

// A device on a root hub's port, "1-4"; "1-0:1.0" is an interface of the hub itself.
bool is_usb_device(std::string_view name)
{
    const auto parts = split_once(name, '-');
    return parts && !parts->second.empty() && consists_of(parts->first, is_digit) &&
           consists_of(parts->second, is_digit);
}

class Walk {
public:
    Walk(const SysReader& reader, DeviceFiles& files) : reader_(reader), files_(files) {}

    // Of a directory, or of a link to one; links below it are not followed.
    void enter(const std::string& path)
    {
        const auto names = reader_.list_directories(path);
        const auto here = last_name(path);
        if (here == "net") return add_interfaces(path, names);
        if (here == "nvme") add_multipath_disks(names);
        const auto file = paths::join(path, "dev");
        if (reader_.exists(file)) add_node(path, file);
        const bool root_hub = is_usb_root_hub(here);
        for (const auto& name : names) {
            const auto below = paths::join(path, name);
            if (root_hub && is_usb_device(name)) add_usb_device(name, below);
            if (is_worth_entering(name)) enter(below);
        }
    }

private:
    static bool is_worth_entering(std::string_view name)
    {
        return !contains(nothing_inside, name) && !name.starts_with("virtfn") && !parse_pci_address(name);
    }

    void add_node(const std::string& directory, const std::string& file)
    {
        const bool block = reader_.read_link(directory + "/subsystem").value_or("").ends_with("/block");
        const auto number = parse_device_number(reader_.read(file).value_or(""), block);
        if (!number) return;
        files_.nodes.push_back(*number);
        if (!block) return;
        files_.block_devices.push_back({std::string(last_name(directory)), *number,
                                        reader_.exists(directory + "/partition"),
                                        reader_.list(directory + "/holders")});
    }

    void add_interfaces(const std::string& path, const std::vector<std::string>& names)
    {
        constexpr unsigned iff_up = 1; // include/uapi/linux/if.h
        for (const auto& name : names) {
            const auto text = reader_.read(paths::join(path, name) + "/flags").value_or("");
            const auto flags = trim(text);
            const auto value = flags.starts_with("0x") ? parse_hex(flags.substr(2)) : std::nullopt;
            auto use = use_of_interface(reader_, paths::join(path, name));
            if ((value.value_or(0) & iff_up) != 0 || !use.empty())
                files_.interfaces.push_back({name, std::move(use)});
        }
    }

    void add_usb_device(const std::string& name, const std::string& path)
    {
        // The kernel takes the device's lock for it (usb_string_attr in drivers/usb/core/sysfs.c), which a
        // reset or a probe may have: then its name is enough.
        constexpr std::size_t longest = 128; // characters; USB 2.0 9.6.7 allows 126
        constexpr Milliseconds answers_within{500};
        const auto product = reader_.read_within(path + "/product", longest, answers_within);
        files_.usb_devices.emplace_back(trim(name + ' ' + product.text));
    }

    // The disk of an NVMe drive that could have several controllers belongs to the subsystem, which lies
    // below /sys/devices/virtual (nvme_mpath_alloc_disk in drivers/nvme/host/multipath.c).
    void add_multipath_disks(const std::vector<std::string>& controllers)
    {
        for (const auto& name : reader_.list(std::string(paths::nvme_subsystems))) {
            const auto subsystem = paths::join(paths::nvme_subsystems, name);
            const auto has = [&](const auto& controller) {
                return reader_.exists(paths::join(subsystem, controller));
            };
            if (std::ranges::any_of(controllers, has)) enter(subsystem);
        }
    }

    const SysReader& reader_;
    DeviceFiles& files_;
};

// The node of the group stands for all its functions that are on a vfio driver.
void add_vfio_group(const SysReader& reader, const Function& function, DeviceFiles& files)
{
    if (!function.iommu_group) return;
    const auto group = paths::join(paths::vfio_groups, std::to_string(*function.iommu_group));
    if (const auto number = parse_device_number(reader.read(group + "/dev").value_or(""), false))
        files.nodes.push_back(*number);
}

// NVIDIA's driver makes /dev/nvidiaN without telling sysfs.
void add_nvidia_node(const SysReader& reader, const Function& function, DeviceFiles& files)
{
    const auto minor = nvidia_minor(reader, function.address);
    if (!minor) return;
    const auto major = read_kernel_devices(reader).nvidia_major().value_or(usual_nvidia_major);
    files.nodes.push_back({major, *minor, false});
}

} // namespace

std::optional<DeviceNumber> parse_device_number(std::string_view text, bool block)
{
    const auto parts = split_once(trim(text), ':');
    const auto major = parts ? parse_decimal(parts->first) : std::nullopt;
    const auto minor = parts ? parse_decimal(parts->second) : std::nullopt;
    if (!major || !minor) return std::nullopt;
    return DeviceNumber{*major, *minor, block};
}

// "Device Minor: 	 0"
std::optional<unsigned> nvidia_minor(const SysReader& reader, const PciAddress& address)
{
    const auto file = paths::join(paths::join(paths::nvidia_gpus, to_string(address)), "information");
    if (!reader.exists(file)) return std::nullopt;
    // The driver asks the GPU's firmware for some of it.
    const auto outcome = reader.read_within(file, 4096, driver_answers_within);
    const auto minor = value_in(outcome.text, "Device Minor");
    return minor ? parse_decimal(*minor) : std::nullopt;
}

// vfio-pci, and the variants that serve one vendor: nvgrace-gpu-vfio-pci, xe-vfio-pci, mlx5_vfio_pci.
bool is_vfio_driver(std::string_view name)
{
    return name == "vfio-pci" || name.ends_with("-vfio-pci") || name.ends_with("_vfio_pci");
}

DeviceFiles find_device_files(const SysReader& reader, const Function& function)
{
    DeviceFiles files;
    const auto directory = paths::function(function.address);
    Walk(reader, files).enter(directory);
    add_nvidia_node(reader, function, files);
    files.on_vfio = is_vfio_driver(function.driver) || reader.exists(paths::join(directory, "vfio-dev"));
    if (!files.on_vfio) return files;
    add_vfio_group(reader, function, files);
    files.vfio_open = is_vfio_open(reader, function.address);
    return files;
}

// vfio-pci enables the function when its device is opened and disables it on close (vfio_pci_core_enable).
bool is_vfio_open(const SysReader& reader, const PciAddress& function)
{
    const auto enabled = reader.read(paths::function(function, "enable")).value_or("");
    return parse_decimal(trim(enabled)).value_or(0) >= 1;
}

} // namespace pvegpu
