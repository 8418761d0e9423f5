// Whether what came back is what was there. Pure but for read_with_config.
#pragma once

#include "base/advice.hpp"
#include "recovery/plan.hpp"

#include <optional>
#include <vector>

namespace pvegpu {

struct Difference {
    bool fatal = false; // the guest could not start, or would get something else than it had
    Advice advice;
    bool no_memory = false; // the kernel has found no room for it
};

// What is different between a function as it was and as it is now; `now` is nothing if it is absent.
std::vector<Difference> compare(const CardPlan& card, const PlannedFunction& before,
                                const std::optional<Function>& now);

// The function with its configuration space, as it is now; nothing if it is absent.
std::optional<Function> read_with_config(const SysReader& reader, const PciAddress& address);

// The link of the card's port, in lanes; nothing where it was not read.
std::optional<Difference> compare_link(const PciAddress& port, const std::optional<ConfigSpace>& before,
                                       const std::optional<ConfigSpace>& now);

// A mapping may carry the number of an IOMMU group, which Proxmox compares.
std::optional<Difference> compare_mapping(const RecoveryPlan& plan, const Function& now);

} // namespace pvegpu
