// The cards that were found whole and good since this boot, in /run/pve-gpu-hook/cards/PORT.json: what
// belongs to a card when nothing of it is on the bus any more.
#pragma once

#include "base/lists.hpp"
#include "machine/system.hpp"
#include "recovery/plan.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct KnownCard {
    PciAddress port;
    std::vector<PciAddress> top;       // what is removed to remove all of it
    std::vector<PciAddress> functions; // no bridges

    bool has(const PciAddress& address) const { return contains(functions, address); }
    bool operator==(const KnownCard&) const = default;
};

std::string print_known_card(const KnownCard& card);

// Nothing of a damaged file.
std::optional<KnownCard> parse_known_card(std::string_view text);

// After a good run. Throws Error.
void save_known_card(System& system, const CardPlan& card);

std::vector<KnownCard> read_known_cards(const SysReader& reader);

} // namespace pvegpu
