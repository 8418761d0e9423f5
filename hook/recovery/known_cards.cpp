#include "recovery/known_cards.hpp"

#include "base/json.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// Throws std::exception for text that is not ours.
KnownCard card_from(const Json& json)
{
    return {json.at("port").get<PciAddress>(), json.at("top").get<std::vector<PciAddress>>(),
            json.at("functions").get<std::vector<PciAddress>>()};
}

} // namespace

std::string print_known_card(const KnownCard& card)
{
    return print(Json{{"port", card.port}, {"top", card.top}, {"functions", card.functions}});
}

std::optional<KnownCard> parse_known_card(std::string_view text)
{
    return read_or_nothing(text, card_from);
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
