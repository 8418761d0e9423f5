// What each step of a plan does to the machine: a write, then a look whether it had its effect.
//
// What undoes a step is in the journal before it (undos_of). Each throws Error(stuck_write) when the kernel
// does not come back, Error(in_use) when somebody has begun to use a device, Error(failed) when the card has
// to be tried another way.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/writes.hpp"

#include <vector>

namespace pvegpu {

// Keeps a function and every bridge above it from sleeping: a card in D3cold may not wake again, and a port
// that sleeps finds nothing at a rescan.
// What puts things back if we do not get to it, as they are now, for the journal.
std::vector<Undo> undos_of(const RunContext& run, const Step& step);

StepOutcome wake(const RunContext& run, const CardPlan& card, const PciAddress& address);

StepOutcome unbind(const RunContext& run, const CardPlan& card, const PciAddress& address);
StepOutcome remove(const RunContext& run, const CardPlan& card, const PciAddress& address);
StepOutcome rescan(const RunContext& run, const CardPlan& card, const PciBus& bus);
StepOutcome bind(const RunContext& run, const CardPlan& card, const PciAddress& address);

// Lets the native driver have a function that nobody has. driver_override names the one driver and the one
// function; a dynamic id that Proxmox has left with vfio-pci would win otherwise. It is cleared again, so
// that the administrator finds the function as it was. A driver that does not take it is a warning.
StepOutcome give_back(const RunContext& run, const CardPlan& card, const GiveBack& step);

// When a function is bound to vfio-pci it is put together with those that QEMU may reset along with it: those
// of its slot where pciehp has the port at that moment, else those of its bus
// (vfio_pci_core_register_device in drivers/vfio/pci/vfio_pci_core.c). Those that were bound before pciehp
// came back are let go here, so that all are bound after.
void unbind_from_vfio(const RunContext& run, const CardPlan& card);

// Loads vfio-pci if it is not there. Throws Error(failed).
void require_vfio(const RunContext& run, Milliseconds timeout);

struct CardFunction {
    const CardPlan* card;
    PciAddress address;
};
// Throws Error(in_use) if somebody who counts uses one of the functions now. Reads /proc once.
void check_not_held(const RunContext& run, const std::vector<CardFunction>& functions);

} // namespace pvegpu
