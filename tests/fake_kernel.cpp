#include "fake_kernel.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <tuple>

namespace pvegpu::testing {
namespace {

constexpr auto vfio_wait_stack = "[<0>] wait_woken+0x54/0x70\n"
                                 "[<0>] vfio_unregister_group_dev+0x15c/0x1f0 [vfio]\n"
                                 "[<0>] vfio_pci_core_unregister_device+0x1c/0xe0 [vfio_pci_core]\n"
                                 "[<0>] pci_device_remove+0x3f/0xa0\n"
                                 "[<0>] device_release_driver_internal+0x19c/0x200\n";
constexpr auto rescan_lock_stack = "[<0>] pci_lock_rescan_remove+0x15/0x20\n"
                                   "[<0>] bus_rescan_store+0x5c/0x90\n";

std::string trimmed(std::string_view text)
{
    while (text.ends_with('\n')) text.remove_suffix(1);
    return std::string(text);
}

// "resource0_resize" -> 0
std::optional<unsigned> resized_bar(const std::string& file)
{
    if (!file.starts_with("resource") || !file.ends_with("_resize")) return std::nullopt;
    return static_cast<unsigned>(file.at(8) - '0');
}

} // namespace

FakeKernel::FakeKernel(FakeTree& tree, FakePci& pci, FakeDrivers& drivers, Later later)
    : tree_(tree), pci_(pci), drivers_(drivers), later_(std::move(later))
{
}

Reaction FakeKernel::store(const std::string& path, std::string_view written)
{
    const auto text = trimmed(written);
    const auto file = base_name(path);
    const auto directory = directory_of(path);
    if (directory_of(directory) == paths::pci_drivers) return driver_file(base_name(directory), file, text);
    if (directory == "/sys/bus/pci") return bus_file(file, text);
    if (directory == paths::pciehp_driver) return pciehp_service(file, text);
    if (file == "rescan" && base_name(directory_of(directory)) == "pci_bus")
        return text == "0" ? done([] {}) : rescan(directory_of(directory_of(directory)), true);
    if (const auto address = parse_pci_address(base_name(directory)))
        return function_file(*address, file, text);
    return done([this, path, text] { tree_.set_file(path, text + '\n'); });
}

Reaction FakeKernel::function_file(const PciAddress& address, const std::string& file,
                                   const std::string& text)
{
    if (const auto bar = resized_bar(file)) return resize(address, *bar, text);
    if (file == "driver_override") {
        return done([=, this] { pci_.set_attribute(address, file, text.empty() ? "(null)" : text); });
    }
    if (file == "reset_method") return choose_reset_method(address, text);
    const bool acts = file == "remove" || file == "rescan" || file == "reset" || file == "reset_subordinate";
    if (!acts) return done([=, this] { pci_.set_attribute(address, file, text); });
    if (!is_number(text)) return refused(EINVAL);
    if (file == "remove") return remove(address);
    // dev_rescan_store scans the bus that the function is on; the windows above keep their size.
    if (file == "rescan") return rescan(directory_of(pci_.directory(address)), false);
    if (file == "reset_subordinate") return text == "0" ? done([] {}) : reset_subordinate(address);
    if (text != "1") return refused(EINVAL);
    return done([=, this] { ++resets_[address]; });
}

Reaction FakeKernel::driver_file(const std::string& driver, const std::string& file, const std::string& text)
{
    if (file == "new_id") return at_once([=, this] { return drivers_.new_id(driver, text); });
    if (file == "remove_id") return at_once([=, this] { return drivers_.remove_id(driver, text); });
    const auto address = parse_pci_address(text);
    if (!address) return refused(ENODEV);
    if (file == "bind") return at_once([=, this] { return drivers_.bind(driver, *address); });
    return file == "unbind" ? unbind(driver, *address) : refused(EACCES);
}

Reaction FakeKernel::bus_file(const std::string& file, const std::string& text)
{
    if (file == "rescan") return rescan(std::string(sys_devices), false);
    if (file != "drivers_probe")
        return done([=, this] { tree_.set_file("/sys/bus/pci/" + file, text + '\n'); });
    const auto address = parse_pci_address(text);
    if (!address || !pci_.present(*address)) return refused(ENODEV);
    return done([=, this] { drivers_.probe(*address); });
}

bool FakeKernel::anything_open(const std::string& directory) const
{
    const auto all = pci_.at_and_below(directory);
    return std::any_of(all.begin(), all.end(), [this](const auto& one) { return drivers_.is_open(one); });
}

Reaction FakeKernel::unbind(const std::string& driver, const PciAddress& address)
{
    if (drivers_.driver_of(address) != driver) return refused(ENODEV);
    return {0, [=, this] { return !drivers_.is_open(address); },
            [=, this] { return drivers_.unbind(driver, address); },
            std::string(vfio_wait_stack) + "[<0>] unbind_store+0xa1/0xb0\n"};
}

// A remove that waits for an open vfio device keeps pci_rescan_remove_lock: all others wait for it.
Reaction FakeKernel::remove(const PciAddress& address)
{
    const auto directory = pci_.directory(address);
    if (rescan_lock_held_)
        return {0, [this] { return !rescan_lock_held_; }, [=, this] { return remove(address).effect(); },
                rescan_lock_stack};
    rescan_lock_held_ = anything_open(directory);
    return {0, [=, this] { return !anything_open(directory); },
            [=, this] {
                rescan_lock_held_ = false;
                fall_off(address);
                return 0;
            },
            std::string(vfio_wait_stack) + "[<0>] pci_stop_and_remove_bus_device_locked+0x1a/0x30\n"
                                           "[<0>] remove_store+0x7c/0x90\n"};
}

void FakeKernel::fall_off(const PciAddress& address)
{
    auto all = pci_.at_and_below(pci_.directory(address));
    for (auto one = all.rbegin(); one != all.rend(); ++one) drivers_.release(*one);
    if (!all.empty()) pci_.take_away(address);
}

Reaction FakeKernel::rescan(const std::string& directory, bool sizes_windows)
{
    return {0, [this] { return !rescan_lock_held_; },
            [=, this] { return rescan_now(directory, sizes_windows); }, rescan_lock_stack};
}

// Functions are found from the root down and all of them before the first one is probed.
int FakeKernel::rescan_now(const std::string& directory, bool sizes_windows)
{
    const auto missing = pci_.missing_below(directory);
    const bool bridges = std::any_of(missing.begin(), missing.end(),
                                     [&](const auto& address) { return pci_.is_shelved_bridge(address); });
    std::vector<PciAddress> found;
    for (const auto& address : missing) {
        if (address.bus == 0 && pci_.is_shelved_bridge(address)) windows_are_spent_ = false;
        const auto room = (sizes_windows || !bridges) && !windows_are_spent_;
        if (const auto late = pci_.returning(address).late) {
            later_(*late, [=, this] { appear(address, room); });
            continue;
        }
        pci_.bring_back(address, room);
        found.push_back(address);
    }
    if (probes_after_rescan())
        for (const auto& address : found) drivers_.probe(address);
    return 0;
}

void FakeKernel::appear(const PciAddress& address, bool room)
{
    pci_.bring_back(address, room);
    if (probes_after_rescan()) drivers_.probe(address);
}

// Since commit ea34511aaf75 (6.19) the kernel asks drivers_autoprobe for functions that a rescan found.
bool FakeKernel::probes_after_rescan() const
{
    int major = 0;
    int minor = 0;
    std::sscanf(tree_.text(std::string(paths::kernel_release)).c_str(), "%d.%d", &major, &minor);
    const bool asks = std::tie(major, minor) >= std::make_tuple(6, 19);
    return !asks || tree_.text(std::string(paths::drivers_autoprobe)) != "0";
}

} // namespace pvegpu::testing
