// What the kernel does when something is written to sysfs. Each reaction is a row of LAB.md or a line of the
// kernel's drivers/pci/pci-sysfs.c, named in fake_system_test.cpp.
#pragma once

#include "fake_drivers.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace pvegpu::testing {

struct Reaction {
    int error = 0;                   // the errno of a write that is refused at once
    std::function<bool()> may_go_on; // empty: the write does not block
    std::function<int()> effect;     // what it then does; its errno
    std::string stack;               // /proc/PID/stack of a writer that is blocked
};

// The usual reactions: refused with an errno, or at once with an effect (which may have an errno).
Reaction refused(int error);
Reaction at_once(std::function<int()> effect);
Reaction done(const std::function<void()>& effect);
bool is_number(const std::string& text); // what kstrtoul takes, decimal

class FakeKernel {
public:
    using Later = std::function<void(Milliseconds, std::function<void()>)>;

    // `later` runs something when so much of the fake's time has passed.
    FakeKernel(FakeTree& tree, FakePci& pci, FakeDrivers& drivers, Later later);

    // Of a write of `text` to a file, given with all links followed.
    Reaction store(const std::string& real_path, std::string_view text);
    int pulse_secondary_bus_reset(const std::string& real_config_path);

    // Below its ports there is no room for memory any more until one of them is found anew.
    void spend_windows() { windows_are_spent_ = true; }
    void add_pciehp_service(const PciAddress& port);
    // The function falls off the bus with all below it, as after a surprise link-down.
    void fall_off(const PciAddress& address);
    unsigned resets(const PciAddress& address) const;

private:
    Reaction function_file(const PciAddress& address, const std::string& file, const std::string& text);
    Reaction driver_file(const std::string& driver, const std::string& file, const std::string& text);
    Reaction bus_file(const std::string& file, const std::string& text);
    Reaction remove(const PciAddress& address);
    Reaction rescan(const std::string& directory, bool sizes_windows);
    Reaction unbind(const std::string& driver, const PciAddress& address);
    Reaction choose_reset_method(const PciAddress& address, const std::string& text);
    Reaction reset_subordinate(const PciAddress& bridge);
    Reaction resize(const PciAddress& address, unsigned index, const std::string& text);
    Reaction pciehp_service(const std::string& file, const std::string& name);

    int rescan_now(const std::string& directory, bool sizes_windows);
    void appear(const PciAddress& address, bool room);
    bool probes_after_rescan() const;
    void count_resets_below(const std::string& directory);
    bool anything_open(const std::string& directory) const;

    FakeTree& tree_;
    FakePci& pci_;
    FakeDrivers& drivers_;
    Later later_;
    bool windows_are_spent_ = false;
    bool rescan_lock_held_ = false; // pci_rescan_remove_lock, by a remove that waits
    std::map<PciAddress, unsigned> resets_;
};

} // namespace pvegpu::testing
