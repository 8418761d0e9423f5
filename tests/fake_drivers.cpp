#include "fake_drivers.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>
#include <sstream>

namespace pvegpu::testing {
namespace {

constexpr unsigned vfio_group_major = 511;
constexpr unsigned vfio_cdev_major = 510;

std::string without_0x(const std::string& number)
{
    return number.starts_with("0x") ? number.substr(2) : number;
}

// "8086 56a6" and "8086 56a6 1849 6006", as new_id_store in drivers/pci/pci-driver.c reads them; "" for less
// than two fields.
std::string dynamic_id(const std::string& text)
{
    std::istringstream words(text);
    std::string vendor;
    std::string device;
    std::string subvendor;
    std::string subdevice;
    if (!(words >> vendor >> device)) return "";
    const auto ids = without_0x(vendor) + ':' + without_0x(device);
    return words >> subvendor >> subdevice ? ids + ':' + without_0x(subvendor) + ':' + without_0x(subdevice)
                                           : ids;
}

} // namespace

bool is_vfio_driver(const std::string& name)
{
    return name == "vfio-pci" || name.ends_with("-vfio-pci") || name.ends_with("_vfio_pci");
}

FakeDrivers::Driver* FakeDrivers::find(const std::string& name)
{
    const auto found = std::find_if(drivers_.begin(), drivers_.end(),
                                    [&](const auto& driver) { return driver.name == name; });
    return found == drivers_.end() ? nullptr : &*found;
}

void FakeDrivers::add_driver(const std::string& name, const std::vector<std::string>& ids)
{
    if (auto* known = find(name)) {
        known->ids.insert(known->ids.end(), ids.begin(), ids.end());
        return;
    }
    drivers_.push_back({name, ids, {}});
    for (const auto* file : {"bind", "unbind", "new_id", "remove_id"})
        tree_.set_write_only(paths::driver(name, file));
}

void FakeDrivers::register_first(const std::string& name)
{
    const auto found = std::find_if(drivers_.begin(), drivers_.end(),
                                    [&](const auto& driver) { return driver.name == name; });
    std::rotate(drivers_.begin(), found, found == drivers_.end() ? found : found + 1);
}

void FakeDrivers::learn()
{
    for (const auto& name : tree_.list(std::string(paths::pci_drivers))) add_driver(name, {});
    for (const auto& address : all_functions())
        if (const auto name = driver_of(address); !name.empty() && !is_vfio_driver(name))
            add_driver(name, {pci_.id(address)});
}

bool FakeDrivers::matches(const Driver& driver, const PciAddress& address) const
{
    if (const auto only = pci_.attribute(address, "driver_override"); only != "(null)" && !only.empty())
        return only == driver.name;
    const auto id =
        without_0x(pci_.attribute(address, "vendor")) + ':' + without_0x(pci_.attribute(address, "device"));
    const auto whole = id + ':' + without_0x(pci_.attribute(address, "subsystem_vendor")) + ':' +
                       without_0x(pci_.attribute(address, "subsystem_device"));
    const auto code = "class:" + without_0x(pci_.attribute(address, "class"));
    const auto fits = [&](const auto& known) {
        return known == id || known == whole || (known.starts_with("class:") && code.starts_with(known));
    };
    return std::any_of(driver.ids.begin(), driver.ids.end(), fits) ||
           std::any_of(driver.dynamic_ids.begin(), driver.dynamic_ids.end(), fits);
}

std::string FakeDrivers::driver_of(const PciAddress& address) const
{
    const auto* link = tree_.find_unfollowed(paths::function(address, "driver"));
    return link == nullptr ? "" : base_name(link->text);
}

// bind_store: ENODEV if there is no such function or the driver does not match, EBUSY if it has a driver. A
// vfio driver takes neither a bridge nor a function without an IOMMU group (vfio_pci_probe: EINVAL).
int FakeDrivers::bind(const std::string& name, const PciAddress& address)
{
    const auto* driver = find(name);
    if (!pci_.present(address) || driver == nullptr || !matches(*driver, address)) return ENODEV;
    if (!driver_of(address).empty()) return EBUSY;
    if (is_vfio_driver(name) && (pci_.is_bridge(address) || pci_.group(address).empty())) return EINVAL;
    attach(name, address);
    return 0;
}

int FakeDrivers::unbind(const std::string& name, const PciAddress& address)
{
    if (driver_of(address) != name) return ENODEV;
    release(address);
    return 0;
}

void FakeDrivers::attach(const std::string& name, const PciAddress& address)
{
    tree_.set_sysfs_link(paths::function(address, "driver"), paths::driver(name));
    tree_.set_sysfs_link(paths::driver(name, to_string(address)), pci_.directory(address));
    if (is_vfio_driver(name)) {
        add_vfio_files(address);
        pci_.set_attribute(address, "power/control", "auto"); // vfio_pci_core_register_device
    } else {
        count_enabled(address, 1);
    }
    for (const auto& node : nodes_[{address, name}]) show(address, node);
}

void FakeDrivers::release(const PciAddress& address)
{
    const auto name = driver_of(address);
    if (name.empty()) return;
    for (const auto& node : nodes_[{address, name}]) hide(address, node);
    tree_.erase(paths::function(address, "driver"));
    tree_.erase(paths::driver(name, to_string(address)));
    if (is_vfio_driver(name)) {
        remove_vfio_files(address);
        pci_.set_attribute(address, "power/control", "on"); // vfio_pci_core_unregister_device
    } else {
        count_enabled(address, -1);
    }
}

void FakeDrivers::probe(const PciAddress& address)
{
    if (!pci_.present(address) || !driver_of(address).empty()) return;
    for (const auto& driver : drivers_)
        if (bind(driver.name, address) == 0) return;
}

std::vector<PciAddress> FakeDrivers::all_functions() const
{
    std::vector<PciAddress> all;
    for (const auto& name : tree_.list(std::string(paths::pci_functions))) all.push_back(address_of(name));
    return all;
}

// new_id_store: EEXIST for an id that the driver knows, then every unbound function that matches is bound.
int FakeDrivers::new_id(const std::string& name, const std::string& text)
{
    auto* driver = find(name);
    const auto id = dynamic_id(text);
    if (driver == nullptr || id.empty()) return EINVAL;
    const auto known = [&](const auto& ids) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
    if (known(driver->ids) || known(driver->dynamic_ids)) return EEXIST;
    driver->dynamic_ids.push_back(id);
    for (const auto& address : all_functions())
        if (driver_of(address).empty()) bind(name, address);
    return 0;
}

int FakeDrivers::remove_id(const std::string& name, const std::string& text)
{
    auto* driver = find(name);
    const auto id = dynamic_id(text);
    if (driver == nullptr || id.empty()) return EINVAL;
    return std::erase(driver->dynamic_ids, id) == 0 ? ENODEV : 0;
}

void FakeDrivers::add_vfio_files(const PciAddress& address)
{
    const auto group = pci_.group(address);
    const DeviceNumber number{vfio_group_major, static_cast<unsigned>(std::stoul(group)), false};
    const auto place = "/sys/devices/virtual/vfio/" + group;
    tree_.set_file(place + "/dev", std::to_string(number.major) + ':' + std::to_string(number.minor) + '\n');
    tree_.set_sysfs_link(paths::join(paths::vfio_groups, group), place);
    tree_.set_device("/dev/vfio/" + group, number);

    const auto device = "vfio" + std::to_string(next_vfio_device_++);
    const auto directory = pci_.directory(address) + "/vfio-dev/" + device;
    tree_.add_directory(directory);
    if (!cdev_) return;
    const DeviceNumber character{vfio_cdev_major, next_vfio_device_ - 1, false};
    tree_.set_file(directory + "/dev",
                   std::to_string(character.major) + ':' + std::to_string(character.minor) + '\n');
    tree_.set_device("/dev/vfio/devices/" + device, character);
}

// The group's files stay while another function of the group is on a vfio driver.
void FakeDrivers::remove_vfio_files(const PciAddress& address)
{
    const auto directory = pci_.directory(address);
    for (const auto& device : tree_.list(directory + "/vfio-dev")) tree_.erase("/dev/vfio/devices/" + device);
    tree_.erase(directory + "/vfio-dev");
    for (const auto& mate : tree_.list(directory + "/iommu_group/devices"))
        if (is_vfio_driver(driver_of(address_of(mate)))) return;
    const auto group = pci_.group(address);
    tree_.erase(paths::join(paths::vfio_groups, group));
    tree_.erase("/sys/devices/virtual/vfio/" + group);
    tree_.erase("/dev/vfio/" + group);
}

void FakeDrivers::add_node(const PciAddress& address, const std::string& below, const std::string& node,
                           DeviceNumber number)
{
    auto& nodes = nodes_[{address, driver_of(address)}];
    nodes.push_back({below, node, number});
    show(address, nodes.back());
}

void FakeDrivers::show(const PciAddress& address, const Node& node)
{
    const auto& number = node.number;
    const auto directory = pci_.directory(address) + '/' + node.below;
    tree_.set_file(directory + "/dev",
                   std::to_string(number.major) + ':' + std::to_string(number.minor) + '\n');
    if (number.block) tree_.set_sysfs_link(directory + "/subsystem", "/sys/class/block");
    if (!node.node.empty()) tree_.set_device(node.node, number);
}

void FakeDrivers::hide(const PciAddress& address, const Node& node)
{
    tree_.erase(pci_.directory(address) + '/' + node.below.substr(0, node.below.find('/')));
    if (!node.node.empty()) tree_.erase(node.node);
}

void FakeDrivers::close(const PciAddress& address)
{
    const auto count = opened_.find(address);
    if (count == opened_.end()) return;
    count_enabled(address, -1);
    if (--count->second == 0) opened_.erase(count);
}

void FakeDrivers::count_enabled(const PciAddress& address, int change)
{
    if (!pci_.present(address)) return;
    const auto now = pci_.attribute(address, "enable");
    pci_.set_attribute(address, "enable",
                       std::to_string(std::max(0, (now.empty() ? 0 : std::stoi(now)) + change)));
}

} // namespace pvegpu::testing
