// Resets, BAR sizes and slots: the rarer reactions of the fake kernel.
#include "fake_kernel.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu::testing {

Reaction refused(int error)
{
    return {error, {}, {}, ""};
}
Reaction at_once(std::function<int()> effect)
{
    return {0, {}, std::move(effect), ""};
}

Reaction done(const std::function<void()>& effect)
{
    return at_once([effect] {
        effect();
        return 0;
    });
}

bool is_number(const std::string& text)
{
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

void FakeKernel::count_resets_below(const std::string& directory)
{
    for (const auto& address : pci_.at_and_below(directory)) ++resets_[address];
    for (const auto& address : pci_.shelved_at_and_below(directory)) ++resets_[address];
    // at_and_below begins with the bridge itself, which its own secondary bus reset does not reach
    --resets_[address_of(base_name(directory))];
}

unsigned FakeKernel::resets(const PciAddress& address) const
{
    const auto found = resets_.find(address);
    return found == resets_.end() ? 0 : found->second;
}

// reset_method_store in drivers/pci/pci-sysfs.c: nothing, "default", or names of what the function has. It
// lists "bus" for the first function that it finds of a slot, and does not take it once there are others
// (pci_parent_bus_reset in drivers/pci/pci.c).
Reaction FakeKernel::choose_reset_method(const PciAddress& address, const std::string& text)
{
    const auto offered = pci_.offered_reset_methods(address);
    const auto siblings = pci_.at_and_below(directory_of(pci_.directory(address)));
    const bool alone = std::count_if(siblings.begin(), siblings.end(), [&](const PciAddress& other) {
                           return bus_of(other) == bus_of(address);
                       }) == 1;
    if (!alone && (' ' + text + ' ').find(" bus ") != std::string::npos) return refused(EINVAL);
    if (text == "default") return done([=, this] { pci_.set_attribute(address, "reset_method", offered); });
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find(' ', at), text.size());
        if ((' ' + offered + ' ').find(' ' + text.substr(at, end - at) + ' ') == std::string::npos)
            return refused(EINVAL);
        at = end + 1;
    }
    return done([=, this] { pci_.set_attribute(address, "reset_method", text); });
}

// The kernel sees its quirks, and saves config space, only of what is on the bus. That an open vfio device is
// below does not keep it.
Reaction FakeKernel::reset_subordinate(const PciAddress& bridge)
{
    const auto directory = pci_.directory(bridge);
    for (const auto& address : pci_.at_and_below(directory))
        if (pci_.quirk_no_bus_reset(address)) return refused(ENOTTY);
    return done([=, this] { count_resets_below(directory); });
}

int FakeKernel::pulse_secondary_bus_reset(const std::string& config_path)
{
    const auto directory = directory_of(config_path);
    const auto bridge = parse_pci_address(base_name(directory));
    if (!bridge || !pci_.is_bridge(*bridge)) return EINVAL;
    count_resets_below(directory);
    for (const auto& address : pci_.at_and_below(directory))
        if (address != *bridge && pci_.is_bridge(address)) pci_.lose_branch(address);
    return 0;
}

Reaction FakeKernel::resize(const PciAddress& address, unsigned index, const std::string& text)
{
    constexpr std::uint64_t mebibyte = 1U << 20U;
    if (!is_number(text)) return refused(EINVAL);
    if (!drivers_.driver_of(address).empty()) return refused(EBUSY);
    return done([=, this] { pci_.resize_bar(address, index, mebibyte << std::stoul(text)); });
}

void FakeKernel::add_pciehp_service(const PciAddress& port)
{
    const auto name = to_string(port) + ":pcie004"; // 4: PCIE_PORT_SERVICE_HP in drivers/pci/pcie/portdrv.h
    const auto place = pci_.directory(port) + '/' + name;
    tree_.add_directory(place);
    tree_.set_sysfs_link(paths::join(pci_express_services, name), place);
    for (const auto* file : {"bind", "unbind"}) tree_.set_write_only(paths::join(paths::pciehp_driver, file));
    pciehp_service("bind", name).effect();
}

Reaction FakeKernel::pciehp_service(const std::string& file, const std::string& name)
{
    const auto place = tree_.resolve(paths::join(pci_express_services, name));
    const auto driver_link = paths::join(paths::pciehp_driver, name);
    if (!place) return refused(ENODEV);
    const bool bound = tree_.find_unfollowed(driver_link) != nullptr;
    if (file == "bind" && bound) return refused(EBUSY);
    if (file == "unbind" && !bound) return refused(ENODEV);
    return done([=, this] {
        if (file == "bind") {
            tree_.set_sysfs_link(driver_link, *place);
            tree_.set_sysfs_link(*place + "/driver", std::string(paths::pciehp_driver));
        } else {
            tree_.erase(driver_link);
            tree_.erase(*place + "/driver");
        }
    });
}

} // namespace pvegpu::testing
