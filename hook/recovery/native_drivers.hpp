// Keeping the native driver off a card that is found again and may still be dirty.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <vector>

namespace pvegpu {

// Around the rescans of cards, strongest way first:
//  - kernels from 6.19 on leave new devices alone while drivers_autoprobe is 0 (earlier ones ignore it for a
//    rescan); bridges and companions are then probed one by one;
//  - earlier ones: the cards' ids are made known to vfio-pci, which takes it if it was registered before the
//    native driver; not where an unbound twin would be caught;
//  - else the native driver may win, and the bind step takes the function from it.
class NativeDriverGuard {
public:
    explicit NativeDriverGuard(const RunContext& run) : run_(run) {}

    void before_rescans(std::vector<const CardPlan*> cards);
    void after_rescans();

private:
    static std::vector<PciAddress> left_to_the_host(const CardPlan& card);
    void probe_new_devices();
    void teach_ids();
    void forget_ids();

    const RunContext& run_;
    std::vector<const CardPlan*> cards_;
    bool holds_autoprobe_ = false;
    bool nothing_binds_ = false; // by itself in a rescan: held by us, or switched off by somebody else
    std::vector<Undo> taught_;   // ids that a driver has learnt
};

// Host-wide for as long as it lasts. False where it cannot help: an older kernel, or an administrator who has
// switched it off for good.
bool hold_autoprobe(const RunContext& run);
void release_autoprobe(const RunContext& run);

// "6.19.0-1-pve" is from 6.19 on; text that is no release is not.
bool honours_autoprobe_on_rescan(std::string_view kernel_release);

} // namespace pvegpu
