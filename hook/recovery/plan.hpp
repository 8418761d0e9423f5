// What will be done, decided from what is known. Pure: nothing here can look at the machine or change it.
#pragma once

#include "base/error.hpp"
#include "containers/node_facts.hpp"
#include "recovery/situation.hpp"
#include "settings/settings.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

enum class Op {
    wake,
    unbind,
    reset,
    remove,
    rescan,
    bind,
    verify,
    load,   // a kernel module, for a container
    create, // a device node of the host, for a container
    wait    // for one
};
std::string to_string(Op op);

enum class ResetBy {
    reset_subordinate, // the kernel resets everything below the port, saves and restores it, honours quirks
    bridge_control,    // we set the secondary bus reset bit of the port; nothing may be left below it
    function           // the function's own reset file
};

struct Step {
    Op op = Op::wake;
    PciAddress function; // the target of every op but rescan
    PciBus bus;          // the target of rescan
    ResetBy by = ResetBy::reset_subordinate;
    std::string name = {}; // of the module or the node

    std::string target() const; // "0000:03:00.0", "0000:03", "nvidia-uvm" or "/dev/nvidia0"
};

struct PlannedFunction {
    Function facts; // as they were before anything was done
    Role role = Role::neighbour;
    std::string hostpci; // the key that names it; empty if the guest did not ask for it
    bool to_vfio = false;
    bool cycled = true;                   // false: it is busy and stays as it is
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
    std::vector<Step> second_rung; // if the first does not bring the card back
    std::vector<Step> third_rung;  // if the second brings it back without memory

    const PlannedFunction* find(const PciAddress& address) const;
    bool may_hold(const HostSelector& selector) const; // what it names would be below the card's port
};

struct Refusal {
    Reason reason = Reason::in_use;
    std::string detail; // says what to do
};

struct Plan {
    Request request;
    GuestKind guest = GuestKind::unknown;
    std::optional<Refusal> refused;
    std::vector<std::string> warnings;
    std::vector<PassedDevice> devices;
    std::vector<CardPlan> cards;
    std::vector<PciBus> search;            // rescanned first; then everything is read again
    std::vector<LostCard> lost_cards;      // tried where that brings nothing
    std::optional<PciAddress> lost_bridge; // waited for: the kernel takes the numbers away while it scans
    bool others_at_work = false;  // on the PCI bus, and not stuck: waited for; then everything is read again
    Settings settings;            // of this guest
    std::vector<NodeFacts> nodes; // of a container, with the steps that bring those that are missing
    std::vector<Step> node_steps;

    bool nothing_to_do() const; // no step, no search, no refusal
    // A card that is reset and found again would hold it.
    bool is_looked_for(const HostSelector& missing) const;
};

// A function as it is, and what the guest has of it.
PlannedFunction plan_function(const Situation& situation, const PciAddress& address);

Plan make_plan(const Situation& situation, const SettingsFile& settings);

} // namespace pvegpu
