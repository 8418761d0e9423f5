// Everything that is known before anything is decided: the guest's devices, the cards, who holds them.
#pragma once

#include "machine/system.hpp"
#include "pci/cards.hpp"
#include "pci/topology.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/passthrough.hpp"
#include "recovery/lost_devices.hpp"
#include "usage/holders.hpp"
#include "usage/pci_writers.hpp"

#include <set>
#include <string>
#include <vector>

namespace pvegpu {

struct Situation {
    Request request;
    GuestKind guest = GuestKind::vm;
    GuestConfig config;
    LxcConfig container;            // the same of a container
    std::vector<WantedNode> wanted; // by the container
    std::vector<PassedDevice> devices;
    Topology topology;
    std::vector<Card> cards;          // of the GPUs that this guest is given whole
    std::set<PciAddress> taken;       // what Proxmox will bind to vfio-pci
    std::vector<Holder> holders;      // of the taken set and of the cards
    std::vector<PciWriter> writers;   // on the whole host
    std::vector<PciBus> search;       // buses to be rescanned for functions that are missing
    std::vector<LostCard> lost_cards; // that those may belong to, when a rescan does not bring them
    std::optional<Function>
        lost_bridge; // above one of the cards: without its bus numbers nothing below is reached
    std::vector<std::string> warnings;
    std::vector<std::string> mapping_mismatches; // Proxmox will refuse to start for these reasons
    bool config_space_writable = true;           // false under kernel lockdown

    bool nothing_to_do() const { return cards.empty() && search.empty(); }
};

// Only looks. Throws Error(not_found) for a guest that does not exist, Error(invalid_config) where Proxmox
// would refuse the configuration, Error(timed_out) when /etc/pve does not answer.
Situation read_situation(const SysReader& reader, const Request& request, std::int64_t wall_clock);

// Whether there may be anything to do for this guest: it names a GPU, or a device that is missing. Reads the
// guest and the classes of what it names, so that a guest without a GPU neither waits for the lock nor costs
// more than this. Fills the situation's guest, config (a container's, with the nodes that it wants), devices
// and warnings; throws as read_situation does. A container never has one in this sense.
bool may_have_a_gpu(const SysReader& reader, Situation& situation);

// The same for functions that a guest was given at its start, whatever its configuration says by now. The
// guest's own use of them counts as use.
Situation read_situation_of(const SysReader& reader, const Request& request,
                            const std::vector<PciAddress>& functions, std::int64_t wall_clock);

} // namespace pvegpu
