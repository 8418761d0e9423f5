#include "fake_pci.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <stdexcept>

namespace pvegpu::testing {

PciAddress address_of(const std::string& text)
{
    const auto address = parse_pci_address(text);
    if (!address) throw std::invalid_argument("'" + text + "' is no PCI address");
    return *address;
}

FakePci::FakePci(FakeTree& tree) : tree_(tree)
{
    tree_.set_file(std::string(paths::drivers_autoprobe), "1\n");
    tree_.set_write_only(std::string(paths::drivers_probe));
    tree_.set_write_only("/sys/bus/pci/rescan");
    tree_.add_directory(std::string(paths::pci_functions));
    tree_.add_directory(std::string(paths::pci_drivers));
    tree_.add_directory(std::string(paths::pci_buses));
    tree_.add_directory(std::string(paths::iommu_groups));
}

std::string FakePci::directory(const PciAddress& address) const
{
    return tree_.resolve(paths::function(address)).value_or("");
}

std::string FakePci::attribute(const PciAddress& address, const std::string& name) const
{
    const auto path = paths::function(address, name);
    const auto* node = tree_.find(path);
    if (node == nullptr) return "";
    return node->kind == FakeNode::Kind::file ? tree_.text(path) : tree_.resolve(path).value();
}

std::string FakePci::id(const PciAddress& address) const
{
    return attribute(address, "vendor").substr(2) + ':' + attribute(address, "device").substr(2);
}

void FakePci::set_attribute(const PciAddress& address, const std::string& name, const std::string& text)
{
    tree_.set_file(paths::function(address, name), text + '\n');
}

std::vector<PciAddress> FakePci::at_and_below(const std::string& directory) const
{
    std::vector<PciAddress> found;
    for (auto node = tree_.nodes().lower_bound(directory); node != tree_.nodes().end(); ++node) {
        if (!node->first.starts_with(directory)) break;
        if (node->second.kind != FakeNode::Kind::directory || !is_below(node->first, directory)) continue;
        if (const auto address = parse_pci_address(base_name(node->first))) found.push_back(*address);
    }
    return found;
}

std::vector<PciAddress> FakePci::shelved_at_and_below(const std::string& directory) const
{
    std::vector<PciAddress> found;
    for (const auto& [address, shelved] : shelf_)
        if (is_below(shelved.directory, directory)) found.push_back(address);
    return found;
}

void FakePci::disconnect(const PciAddress& address, const std::string& directory)
{
    for (const auto& bus : tree_.list(directory + "/pci_bus"))
        tree_.erase(paths::join(paths::pci_buses, bus));
    for (const auto& name : tree_.list(std::string(pci_express_services)))
        if (name.starts_with(to_string(address) + ':')) tree_.erase(paths::join(pci_express_services, name));
    leave_group(address);
    tree_.erase(paths::function(address));
}

void FakePci::connect(const PciAddress& address, const std::string& directory)
{
    tree_.set_sysfs_link(paths::function(address), directory);
    tree_.set_sysfs_link(directory + "/subsystem", "/sys/bus/pci");
    for (const auto& bus : tree_.list(directory + "/pci_bus"))
        tree_.set_sysfs_link(paths::join(paths::pci_buses, bus), directory + "/pci_bus/" + bus);
    for (const auto& name : tree_.list(directory))
        if (name.starts_with(to_string(address) + ':'))
            tree_.set_sysfs_link(paths::join(pci_express_services, name), directory + '/' + name);
}

void FakePci::take_away(const PciAddress& address)
{
    auto all = at_and_below(directory(address));
    for (auto one = all.rbegin(); one != all.rend(); ++one) {
        Shelved shelved{directory(*one), {}, {}, group(*one)};
        remember_health(*one);
        for (const auto& mate : tree_.list(shelved.directory + "/iommu_group/devices"))
            shelved.mates.insert(address_of(mate));
        disconnect(*one, shelved.directory);
        shelved.nodes = tree_.extract(shelved.directory);
        shelf_[*one] = std::move(shelved);
        lost_.erase(*one);
    }
}

std::vector<PciAddress> FakePci::missing_below(const std::string& directory) const
{
    std::vector<std::pair<std::string, PciAddress>> found;
    for (const auto& [address, shelved] : shelf_) {
        const auto behaviour = returns_.find(address);
        if (behaviour != returns_.end() && behaviour->second.never) continue;
        const auto& place = shelved.directory;
        const auto hidden = std::any_of(lost_.begin(), lost_.end(), [&place, this](const auto& lost) {
            return is_below(place, this->directory(lost));
        });
        if (is_below(place, directory) && !hidden) found.emplace_back(place, address);
    }
    std::sort(found.begin(), found.end());
    std::vector<PciAddress> result;
    for (const auto& [path, address] : found) result.push_back(address);
    return result;
}

void FakePci::bring_back(const PciAddress& address, bool room)
{
    const auto shelved = shelf_.find(address);
    if (shelved == shelf_.end() || !tree_.resolve(directory_of(shelved->second.directory))) return;
    tree_.put_back(shelved->second.nodes);
    connect(address, shelved->second.directory);
    reset_defaults(address, room);
    rejoin_group(address, shelved->second);
    shelf_.erase(shelved);
}

// What the kernel gives a function that it has just found: pci_device_add and pci_pm_init.
void FakePci::reset_defaults(const PciAddress& address, bool room)
{
    const auto& behaviour = returns_[address];
    set_attribute(address, "driver_override", "(null)");
    set_attribute(address, "power/control", "on");
    set_attribute(address, "d3cold_allowed", "1");
    set_attribute(address, "enable", "0");
    if (offered_.contains(address)) set_attribute(address, "reset_method", offered_.at(address));
    tree_.set_file(paths::function(address, "config"), healthy_config_[address]);
    return_bars(address, room);
    if (behaviour.id) {
        FunctionFacts other;
        std::tie(other.vendor, other.device) = *behaviour.id;
        write_common(directory(address), other, is_bridge(address));
    }
    if (behaviour.dead) lose_config(address);
}

void FakePci::return_bars(const PciAddress& address, bool room)
{
    const auto& smaller = returns_[address].smaller_bar;
    tree_.set_file(paths::function(address, "resource"), healthy_resource_[address]);
    auto bars = bars_of(healthy_resource_[address]);
    for (auto& bar : bars) {
        if (smaller && smaller->index == bar.index) bar = *smaller;
        bar.assigned = room;
    }
    place_bars(bars);
    if (!room || smaller)
        write_bars(directory(address), bars, is_bridge(address));
    else
        write_bar_files(directory(address), bars);
}

void FakePci::remember_health(const PciAddress& address)
{
    const auto* config = tree_.find(paths::function(address, "config"));
    healthy_config_.try_emplace(address, config == nullptr ? "" : config->text);
    healthy_resource_.try_emplace(address, attribute(address, "resource") + '\n');
}

void FakePci::lose_config(const PciAddress& address)
{
    remember_health(address);
    tree_.set_file(paths::function(address, "config"), std::string(config_bytes, '\xff'));
}

void FakePci::lose_branch(const PciAddress& bridge)
{
    for (const auto& address : at_and_below(directory(bridge))) lose_config(address);
    lost_.insert(bridge);
}

bool FakePci::is_shelved_bridge(const PciAddress& address) const
{
    const auto& shelved = shelf_.at(address);
    return shelved.nodes.contains(shelved.directory + "/pci_bus");
}

void FakePci::lose_numbers(const PciAddress& bridge)
{
    set_config_byte(bridge, 0x1a, config_byte(bridge, 0x19));
    set_attribute(bridge, "subordinate_bus_number", std::to_string(config_byte(bridge, 0x19)));
    lost_.insert(bridge);
    // What is there answers no more.
    for (const auto& address : at_and_below(directory(bridge)))
        if (address != bridge && !is_bridge(address)) {
            remember_health(address);
            tree_.set_file(paths::function(address, "config"), std::string(config_bytes, '\xff'));
        }
}

void FakePci::set_config_byte(const PciAddress& address, unsigned offset, unsigned value)
{
    remember_health(address);
    auto config = tree_.find(paths::function(address, "config"))->text;
    config.at(offset) = static_cast<char>(value);
    tree_.set_file(paths::function(address, "config"), config);
}

unsigned FakePci::config_byte(const PciAddress& address, unsigned offset) const
{
    return static_cast<unsigned char>(tree_.find(paths::function(address, "config"))->text.at(offset));
}

void FakePci::resize_bar(const PciAddress& address, unsigned index, std::uint64_t size)
{
    auto bars = bars_of(attribute(address, "resource"));
    for (auto& bar : bars)
        if (bar.index == index) bar = {index, 0, size, true};
    place_bars(bars);
    write_bars(directory(address), bars, is_bridge(address));
}

} // namespace pvegpu::testing
