// Where a function can be that the guest names and that is not on the PCI bus. Only looks.
#pragma once

#include "base/pci_address.hpp"
#include "machine/system.hpp"
#include "proxmox/request.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct PassedDevice; // proxmox/passthrough.hpp

// A card none of whose GPU is on the bus: removed whole, reset from its port and scanned again it comes back
// where a rescan of one bus does not bring it, because a bridge on it has lost its bus numbers.
struct LostCard {
    PciAddress port;
    std::vector<PciAddress> top;       // what is left of it, directly below the port
    std::vector<PciAddress> functions; // that are left of it, no bridges
    bool has_lost_numbers = false;     // a bridge of it
    std::string left_alone_because;    // of whose it may be besides; empty: it is this guest's
};

// The buses to be rescanned: of the functions beside it, where a function of a slot is missing, else the one
// bridge without anything below it whose bus range holds the number, because nothing else can have lost it.
std::vector<PciBus> find_lost(const SysReader& reader, const std::vector<PassedDevice>& devices,
                              const std::vector<PciAddress>& all);

// The card of this boot's last good start that had the function; without one, the switch above the place, if
// the device table knows it as part of a graphics card, nothing else is below it and no other guest of this
// node names or has claimed anything there.
std::vector<LostCard> find_lost_cards(const SysReader& reader, const std::vector<PassedDevice>& devices,
                                      const Request& request);

} // namespace pvegpu
