// What will be done, decided from what is known. Pure: nothing here can look at the machine or change it.
#pragma once

#include "pci/cards.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/passthrough.hpp"
#include "recovery/absent.hpp"
#include "recovery/lost_devices.hpp"
#include "recovery/step.hpp"
#include "settings/settings.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct VmFacts; // recovery/vm_facts.hpp

struct PlannedFunction {
    Function facts; // as they were before anything was done
    Role role = Role::neighbour;
    std::string hostpci; // the key that names it; empty if the guest did not ask for it
    bool goes_to_guest = false;
    bool in_scope = true;                 // false: it is busy and stays as it is
    std::string vfio_driver = "vfio-pci"; // what has it at the end, where to_vfio

    const PciAddress& address() const { return facts.address; }
};

struct CardPlan {
    Card card;
    std::optional<ConfigSpace> port; // as the card's port was; nothing without a port
    std::optional<BusRange> buses;   // below the port
    std::vector<PciAddress>
        held_in_reset; // by: the port and the bridges on the card whose reset bit was seen
    std::vector<PlannedFunction> functions;
    Settings settings; // of this guest and this GPU
    std::vector<Step> steps;
    std::vector<Step>
        whole_card;              // if those do not bring the card back: from the top, with everything removed
    std::vector<Step> with_port; // if the kernel then finds no room for its memory: with the port above it

    bool is_cycled() const { return !steps.empty(); }
    const PlannedFunction* find(const PciAddress& address) const;
    const Function& gpu() const;                       // that the guest names; a card of a plan has one
    bool may_hold(const HostSelector& selector) const; // what it names would be below the card's port
};

struct RecoveryPlan {
    Request request;
    VmFile vm;
    std::optional<Refusal> refused;
    std::vector<Advice> warnings;
    std::vector<PassedDevice> devices;
    std::vector<CardPlan> cards;
    std::vector<PciBus> search;            // rescanned first; then everything is read again
    AbsentCauses absent;                   // causes of what is missing, by the guest's word for it
    std::vector<LostCard> lost_cards;      // tried where that brings nothing
    std::optional<PciAddress> lost_bridge; // waited for: the kernel takes the numbers away while it scans
    bool others_at_work = false; // on the PCI bus, and not stuck: waited for; then everything is read again
    Settings settings;           // of this guest

    bool cycles_something() const;
    bool nothing_to_do() const; // no step, no search, no refusal
    // A card that is reset and found again would hold it.
    bool is_looked_for(const HostSelector& missing) const;
};

// A function as it is, and what the guest has of it.
PlannedFunction plan_function(const VmFacts& vm_facts, const PciAddress& address);

RecoveryPlan make_plan(const VmFacts& vm_facts, const SettingsFile& settings);

// Every step of the plan, as not reached: what a dry run prints.
std::vector<StepReport> planned_steps(const RecoveryPlan& plan);

} // namespace pvegpu
