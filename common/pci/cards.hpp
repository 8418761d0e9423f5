// Which functions make up the physical card of a GPU, and which bridge stands above it.
#pragma once

#include "base/lists.hpp"
#include "pci/topology.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct Card {
    std::optional<PciAddress> port; // the bridge directly above the card; nothing: it cannot be cycled,
    std::string
        left_alone_because; // and why, in words that follow "the hook does not reset the card of '...': "
    std::string instead;    // what helps such a one, as far as somebody has found something
    std::vector<PciAddress>
        functions;               // GPUs, companions and neighbours; no bridges; in the order of addresses
    std::vector<PciAddress> top; // what is directly below the port: the card's switch, or `functions`
    std::vector<PciAddress> switches; // the bridges on the card, the outermost first

    bool has(const PciAddress& address) const { return contains(functions, address); }
};

// The cards of these GPUs, each card once, in the order of the GPUs. A function of another class is ignored.
std::vector<Card> find_cards(const Topology& topology, const std::vector<PciAddress>& gpus);

Role role_of(const Function& function);

} // namespace pvegpu
