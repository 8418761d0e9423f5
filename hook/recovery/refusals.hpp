// What keeps a guest from its start before anything is touched. Pure.
#pragma once

#include "recovery/plan.hpp"

#include <optional>

namespace pvegpu {

// Somebody's writer is stuck in the kernel's PCI code: whatever we wrote would wait for the same lock.
std::optional<Refusal> refuse_stuck_writer(const VmFacts& vm_facts);

// A bridge above the card has lost its bus numbers: nothing below it can be reached, and more than this card
// may hang there.
std::optional<Refusal> refuse_lost_bridge(const VmFacts& vm_facts);

// The first reason why the start must not go on, whether a card is cycled or not: what Proxmox will refuse
// anyway, what a removal would destroy, and who uses what Proxmox is to take.
std::optional<Refusal> refuse_start(const VmFacts& vm_facts, const RecoveryPlan& plan);

// What is in use and is taken all the same: it is the guest's by name, or its settings say so.
std::vector<Advice> warn_of_use(const VmFacts& vm_facts, const RecoveryPlan& plan);

// "'hostpci0' names '99:00', which is not on the PCI bus; ..."
Advice names_unknown(const VmFacts& vm_facts, const PassedDevice& device, const HostSelector& selector);

} // namespace pvegpu
