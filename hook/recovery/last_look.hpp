// Who uses the functions that are about to be unbound.
#pragma once

#include "pci/topology.hpp"
#include "recovery/steps.hpp"
#include "usage/open_files.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// /proc is read once for all functions of all cards, right before the first of them is unbound. For those on
// vfio-pci the kernel tells cheaply whether anything has changed since: `enable` of the function, which
// counts opens of its device, and the reference count of the module vfio, which each open of a group or of a
// device's node in /dev/vfio raises (its owner's count: cdev_get in the kernel's fs/char_dev.c). Where that
// count has grown, or the kernel has none because vfio is built in, /proc is read once more. What the host's
// drivers have can be opened unseen between the look and the unbind: that is told afterwards.
class LastLook {
public:
    explicit LastLook(const RunContext& run) : run_(run) {}

    // Throws Error(in_use) if somebody who counts uses one of them now.
    void look(std::vector<CardFunction> functions);

    bool is_native(const PciAddress& function) const; // had a driver of the host's at the look

    // Right before it is unbound: throws Error(in_use) if somebody uses it who did not at the look.
    void check(const PciAddress& function);

    // Warns of each process that has a node of a function open that a driver of the host's had at the look.
    void tell_who_came_too_late() const;

private:
    struct Native {
        PciAddress function;
        std::vector<DeviceNumber> nodes;
    };

    const RunContext& run_;
    std::vector<CardFunction> functions_;
    std::vector<Native> natives_;
    std::optional<unsigned> vfio_users_; // nothing: the kernel does not tell
};

} // namespace pvegpu
