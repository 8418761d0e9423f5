#include "host/shared_cards.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// A directory that is given has what lies in it.
bool gives(const GpuNode& node, const std::string& path)
{
    return node.path == path || (node.is_directory() && path.starts_with(node.path + '/'));
}

} // namespace

std::optional<WantedNode> wanted_node_of(const SurveyedGuest& container, const CardNodes& card)
{
    for (auto& one : wanted_nodes(container.lxc, container.lxc.devices_at_next_start()))
        if (one.node.address == card.function ||
            std::ranges::any_of(card.paths, [&](const auto& path) { return gives(one.node, path); }))
            return std::move(one);
    return std::nullopt;
}

std::vector<Advice> shared_card_warnings(const Survey& survey, const std::vector<CardNodes>& cards)
{
    std::vector<Advice> warnings;
    for (const auto& guest : survey.guests)
        for (const auto& card : cards)
            if (guest.container && wanted_node_of(guest, card)) {
                warnings.push_back(
                    {name_of(guest) + " is given device nodes of " + quote(card.function) + " too",
                     "it loses them while the VM runs"});
                break;
            }
    return warnings;
}

} // namespace pvegpu
