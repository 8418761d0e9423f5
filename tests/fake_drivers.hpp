// Drivers of the fake machine: who matches, who is bound, who has a vfio device open, and the files that
// come and go with it. What the kernel does is in drivers/base/{bus,dd}.c and drivers/pci/pci-driver.c.
#pragma once

#include "fake_pci.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace pvegpu::testing {

class FakeDrivers {
public:
    FakeDrivers(FakeTree& tree, FakePci& pci) : tree_(tree), pci_(pci) {}

    // Drivers are asked in the order in which they were added. An id is "8086:56a6"; "class:0604" is a class.
    void add_driver(const std::string& name, const std::vector<std::string>& ids);
    void register_first(const std::string& name); // as if its module had been loaded before all others
    void learn(); // the drivers that are in the tree, and the ids of what they have
    void with_vfio_cdev() { cdev_ = true; }

    // These answer as a write to the driver's file of that name does: 0, or an errno.
    int bind(const std::string& driver, const PciAddress& address);
    int unbind(const std::string& driver, const PciAddress& address);
    int new_id(const std::string& driver, const std::string& text);
    int remove_id(const std::string& driver, const std::string& text);

    void attach(const std::string& driver, const PciAddress& address);
    void release(const PciAddress& address);
    void probe(const PciAddress& address); // the first driver that matches; a bound function is left alone
    std::string driver_of(const PciAddress& address) const;

    // A file of the bound driver: a `dev` below the function's directory, and its node below /dev. It goes
    // away with the driver and comes back with it.
    void add_node(const PciAddress& address, const std::string& below, const std::string& node,
                  DeviceNumber number);

    void open(const PciAddress& address) { ++opened_[address], count_enabled(address, 1); }
    void close(const PciAddress& address);
    bool is_open(const PciAddress& address) const { return opened_.contains(address); }

private:
    struct Driver {
        std::string name;
        std::vector<std::string> ids;
        std::vector<std::string> dynamic_ids;
    };
    struct Node {
        std::string below, node;
        DeviceNumber number;
    };

    Driver* find(const std::string& name);
    bool matches(const Driver& driver, const PciAddress& address) const;
    std::vector<PciAddress> all_functions() const;
    void add_vfio_files(const PciAddress& address);
    void remove_vfio_files(const PciAddress& address);
    void show(const PciAddress& address, const Node& node);
    void hide(const PciAddress& address, const Node& node);
    void count_enabled(const PciAddress& address, int change);

    FakeTree& tree_;
    FakePci& pci_;
    std::vector<Driver> drivers_;
    std::map<std::pair<PciAddress, std::string>, std::vector<Node>> nodes_;
    std::map<PciAddress, int> opened_;
    bool cdev_ = false;
    unsigned next_vfio_device_ = 0;
};

bool is_vfio_driver(const std::string& name);

} // namespace pvegpu::testing
