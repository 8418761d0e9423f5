#include "check/known_messages.hpp"

#include "base/enum_names.hpp"
#include "check/findings.hpp"
#include "check/iommu_checks.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

using enum KnownMessage::Certainty;
using MessageBar = KnownMessage::Bar;

constexpr std::array certainties{EnumName{"certain", certain}, EnumName{"likely", likely},
                                 EnumName{"possible", possible}};
constexpr std::array bars{EnumName{"any", MessageBar::any}, EnumName{"own", MessageBar::own},
                          EnumName{"other", MessageBar::other}};

template <typename Names> auto value_of(const nlohmann::json& text, const Names& names)
{
    return find_name(names, text.get<std::string>())->value;
}

KnownMessage message_of(const nlohmann::json& row)
{
    return {row.at("name"),
            row.at("title"),
            row.at("patterns"),
            value_of(row.value("bar", "any"), bars),
            value_of(row.at("verdict"), verdict_names),
            value_of(row.at("certainty"), certainties),
            row.value("passes", false),
            row.at("cause"),
            row.at("remedy"),
            row.at("source")};
}

// "bar 2 [mem ...": one of a card's own six. Higher numbers are the ROM, SR-IOV's and a bridge's windows
// (the kernel's include/linux/pci.h); I/O ports no driver of a modern card needs.
bool is_memory_of_a_card(std::string_view lowered)
{
    constexpr unsigned own_bars = 6;
    constexpr std::string_view word = "bar ";
    const auto at = lowered.find(word);
    if (at == std::string_view::npos || lowered.substr(0, at).ends_with("vf ")) return false;
    const auto rest = lowered.substr(at + word.size());
    const auto number = parse_decimal(rest.substr(0, count_front(rest, is_digit)));
    return number && *number < own_bars && rest.find("[io ") == std::string_view::npos;
}

// The pattern's parts one behind the other, wherever they stand. A log has thousands of lines.
bool has_pattern(std::string_view lowered, std::string_view pattern)
{
    while (true) {
        const auto part = pattern.substr(0, std::min(pattern.find('*'), pattern.size()));
        const auto at = lowered.find(part);
        if (at == std::string_view::npos) return false;
        if (part.size() == pattern.size()) return true;
        lowered.remove_prefix(at + part.size());
        pattern.remove_prefix(part.size() + 1);
    }
}

bool is_like(const KnownMessage& message, std::string_view lowered)
{
    return std::ranges::any_of(message.patterns,
                               [&](const auto& pattern) { return has_pattern(lowered, pattern); }) &&
           (message.bar == MessageBar::any ||
            is_memory_of_a_card(lowered) == (message.bar == MessageBar::own));
}

void put_in(std::string& text, std::string_view place, const std::string& value)
{
    for (auto at = text.find(place); at != std::string::npos; at = text.find(place, at + value.size()))
        text.replace(at, place.size(), value);
}

} // namespace

const std::vector<KnownMessage>& known_messages()
{
    static const auto table = [] {
        std::vector<KnownMessage> messages;
        for (const auto& row : nlohmann::json::parse(known_messages_json, nullptr, true, true))
            messages.push_back(message_of(row));
        return messages;
    }();
    return table;
}

std::string to_string(KnownMessage::Certainty certainty)
{
    return name_of(certainties, certainty);
}

std::vector<const KnownMessage*> messages_like(std::string_view line)
{
    constexpr std::size_t longest = 2048; // the kernel's own limit for a message is half of it
    const auto lowered = lower(line.substr(0, longest));
    std::vector<const KnownMessage*> found;
    for (const auto& message : known_messages())
        if (is_like(message, lowered)) found.push_back(&message);
    return found;
}

std::string remedy_of(const KnownMessage& message, CpuVendor cpu, const std::vector<unsigned>& guests,
                      const std::optional<PciAddress>& address)
{
    auto text = message.remedy;
    put_in(text, "{vmid}", number_of(guests));
    put_in(text, "{address}", address ? to_string(*address) : "ADDRESS");
    put_in(text, "{iommu}", firmware_switch(cpu));
    return text;
}

std::optional<PciAddress> address_in(std::string_view text)
{
    constexpr std::size_t usual = 12, of_vmd = 13; // characters
    for (std::size_t at = 0; at + usual <= text.size(); ++at)
        for (const auto length : {of_vmd, usual})
            if (const auto address = parse_pci_address(text.substr(at, length))) return address;
    return std::nullopt;
}

std::string explain(std::string_view text)
{
    std::string answer;
    for (LineReader lines(text); lines.next();)
        for (const auto* message : messages_like(lines.line()))
            answer += (answer.empty() ? "" : "\n") + printable(trim(lines.line()), 200) + "\n  cause (" +
                      to_string(message->certainty) + "): " + message->cause +
                      "\n  fix: " + remedy_of(*message, CpuVendor::other, {}, address_in(lines.line())) +
                      "\n";
    return answer;
}

} // namespace pvegpu
