#include "recovery/known_cards.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

using Json = nlohmann::ordered_json;

Json addresses(const std::vector<PciAddress>& list)
{
    Json result = Json::array();
    for (const auto& address : list) result.push_back(to_string(address));
    return result;
}

// Throws what nlohmann::json and std::optional throw for text that is not ours.
std::vector<PciAddress> addresses_from(const Json& list)
{
    std::vector<PciAddress> result;
    for (const auto& entry : list) result.push_back(parse_pci_address(entry.get<std::string>()).value());
    return result;
}

} // namespace

bool KnownCard::has(const PciAddress& address) const
{
    return std::find(functions.begin(), functions.end(), address) != functions.end();
}

std::string print_known_card(const KnownCard& card)
{
    const Json json{{"port", to_string(card.port)},
                    {"top", addresses(card.top)},
                    {"functions", addresses(card.functions)}};
    return json.dump(2) + "\n";
}

std::optional<KnownCard> parse_known_card(std::string_view text)
{
    try {
        const auto json = Json::parse(text);
        return KnownCard{parse_pci_address(json.at("port").get<std::string>()).value(),
                         addresses_from(json.at("top")), addresses_from(json.at("functions"))};
    } catch (const std::exception&) { // damaged: as if there were none
        return std::nullopt;
    }
}

void save_known_card(System& system, const CardPlan& card)
{
    system.replace_file(paths::known_card(*card.card.port),
                        print_known_card({*card.card.port, card.card.top, card.card.functions}));
}

std::vector<KnownCard> read_known_cards(const SysReader& reader)
{
    std::vector<KnownCard> cards;
    for (const auto& name : reader.list(std::string(paths::known_cards)))
        if (auto card = parse_known_card(reader.read(paths::join(paths::known_cards, name)).value_or("")))
            cards.push_back(std::move(*card));
    return cards;
}

} // namespace pvegpu
