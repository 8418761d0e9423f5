// Everything that is known before anything is decided: the guest's devices, the cards, who holds them.
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"
#include "pci/cards.hpp"
#include "pci/topology.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/named_devices.hpp"
#include "proxmox/passthrough.hpp"
#include "recovery/absent.hpp"
#include "recovery/lost_devices.hpp"
#include "usage/holders.hpp"
#include "usage/pci_writers.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace pvegpu {

struct VmFacts {
    Request request;
    VmFile vm;
    std::vector<PassedDevice> devices;
    Topology topology;
    std::vector<Card> cards;    // of the GPUs that this guest is given whole
    std::set<PciAddress> taken; // what Proxmox will bind to vfio-pci
    // Of those whose own driver Proxmox will take away: these go with it. Each with its parent.
    std::map<PciAddress, PciAddress> virtual_functions;
    std::map<PciAddress, PciAddress> behind; // the same of what lies behind a controller of Intel's VMD
    std::vector<Holder> holders;      // of all these, of the cards, and of what is named for mediated devices
    std::vector<PciWriter> writers;   // on the whole host
    AbsentCauses absent;              // causes of what is missing, by the guest's word for it
    std::vector<PciBus> search;       // buses to be rescanned for functions that are missing
    std::vector<LostCard> lost_cards; // that those may belong to, when a rescan does not bring them
    std::optional<Function>
        lost_bridge; // above one of the cards: without its bus numbers nothing below is reached
    std::vector<Advice> warnings;
    std::vector<MappingMismatch> mapping_mismatches; // Proxmox will refuse to start for these reasons
    bool config_space_writable = true;               // false under kernel lockdown

    bool nothing_to_do() const { return cards.empty() && search.empty(); }
};

// What the VM's lines name, and no more. Throws Error(invalid_config) or Error(not_found) where Proxmox would
// refuse the configuration, Error(timed_out) when /etc/pve does not answer.
VmFacts read_named(const SysReader& reader, const Request& request, const VmFile& vm);

// Whether there may be anything to do for it: a GPU is named, or a device that is missing. Costs the classes
// of what is named, so that a guest without a GPU does not wait for the lock.
bool may_have_a_gpu(const SysReader& reader, const VmFacts& named);

// All of it. Throws as read_named does.
VmFacts read_vm_facts(const SysReader& reader, const Request& request, const VmFile& vm);

// The same for functions that a guest was given at its start, whatever its configuration says by now. The
// guest's own use of them counts as use.
VmFacts read_vm_facts_of(const SysReader& reader, const Request& request,
                         const std::vector<PciAddress>& functions);

} // namespace pvegpu
