#include "check/known_messages.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "check/findings.hpp"
#include "check/iommu_checks.hpp"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

using enum KnownMessage::Certainty;
using MessageBar = KnownMessage::Bar;
using Maps = KnownMessage::Maps;
using Over = KnownMessage::Over;

constexpr std::array certainties{EnumName{"certain", certain}, EnumName{"likely", likely},
                                 EnumName{"possible", possible}};
constexpr std::array bars{EnumName{"any", MessageBar::any}, EnumName{"own", MessageBar::own},
                          EnumName{"other", MessageBar::other}};
constexpr std::array mapped{EnumName{"any", Maps::any}, EnumName{"card", Maps::card},
                            EnumName{"memory", Maps::memory}};
constexpr std::array overs{EnumName{"never", Over::never}, EnumName{"answers", Over::answers},
                           EnumName{"starts", Over::starts}};

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
            value_of(row.value("maps", "any"), mapped),
            value_of(row.at("verdict"), verdict_names),
            value_of(row.at("certainty"), certainties),
            value_of(row.value("over", "never"), overs),
            row.value("hook", false),
            row.value("reset", false),
            row.value("follows", std::vector<std::string>{}),
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

// "dma_map(0x55..., 0x380000000000, ...": the second number is where the guest has it. A PC's memory begins
// at 0, at 4 GiB, and on AMD hosts for the part above the HyperTransport range at 1 TiB (pc_memory_init in
// QEMU's hw/i386/pc.c); what else is mapped is a card's.
bool maps_memory_of_guest(std::string_view lowered)
{
    constexpr std::uint64_t below_cards = 0x80000000, above_4g = 0x100000000, above_1t = 0x10000000000;
    const auto call = lowered.find("dma_map(");
    if (call == std::string_view::npos) return false;
    const auto arguments = split(lowered.substr(call), ',');
    if (arguments.size() < 2) return false;
    const auto text = trim(arguments[1]);
    constexpr std::string_view hex = "0x";
    std::uint64_t at = 0;
    if (!text.starts_with(hex)) return false;
    const auto [end, error] = std::from_chars(text.data() + hex.size(), text.data() + text.size(), at, 16);
    return error == std::errc() && (at < below_cards || at == above_4g || at == above_1t);
}

// Where the part stands in the text; npos if it does not, or only within a longer number.
std::size_t find_part(std::string_view text, std::string_view part)
{
    const auto splits_number = [](char left, char right) { return is_digit(left) && is_digit(right); };
    auto at = text.find(part);
    for (; at != std::string_view::npos && !part.empty(); at = text.find(part, at + 1)) {
        const auto end = at + part.size();
        if ((at == 0 || !splits_number(text[at - 1], part.front())) &&
            (end == text.size() || !splits_number(part.back(), text[end])))
            break;
    }
    return at;
}

// The pattern's parts one behind the other, wherever they stand. A log has thousands of lines.
bool has_pattern(std::string_view lowered, std::string_view pattern)
{
    if (pattern.starts_with('^')) {
        pattern.remove_prefix(1);
        if (!trim(lowered).starts_with(pattern.substr(0, pattern.find('*')))) return false;
    }
    while (true) {
        const auto part = pattern.substr(0, std::min(pattern.find('*'), pattern.size()));
        const auto at = find_part(lowered, part);
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
            is_memory_of_a_card(lowered) == (message.bar == MessageBar::own)) &&
           (message.maps == Maps::any || maps_memory_of_guest(lowered) == (message.maps == Maps::memory));
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

namespace {

// What is done with a VM of Proxmox, as it is done with one of Incus or LXD.
void name_instance(std::string& text, const std::string& name)
{
    put_in(text, "pve-gpu-hook --dry-run {vmid} pre-start",
           "pve-gpu-install start --dry-run --incus " + name);
    put_in(text, "qm start {vmid}", "pve-gpu-install start --incus " + name);
    put_in(text, "--vm {vmid}", "--incus " + name);
    put_in(text, "attach the hook (", "start it by our command (");
    put_in(text, "qm stop {vmid}", "incus stop --force " + name);
    put_in(text, "{vmid}", name);
}

} // namespace

std::string remedy_of(const KnownMessage& message, CpuVendor cpu, const std::vector<unsigned>& guests,
                      const std::optional<PciAddress>& address, bool without_hook,
                      const std::string& instance)
{
    auto text = message.remedy;
    if (message.hook && !without_hook)
        text.insert(0, "attach the hook ('pve-gpu-install --vm {vmid}')" +
                           std::string(text.empty() ? "" : "; "));
    if (!instance.empty()) name_instance(text, instance);
    put_in(text, "{vmid}", guests.empty() ? "N" : std::to_string(guests.front()));
    put_in(text, "{address}", address ? to_string(*address) : "ADDRESS");
    put_in(text, "{iommu}", firmware_switch(cpu));
    return text;
}

namespace {

// Of the text that begins there, and how long it is.
std::optional<PciAddress> whole_address(std::string_view text)
{
    constexpr std::size_t usual = 12, of_vmd = 13; // characters
    for (const auto length : {of_vmd, usual})
        if (const auto address = parse_pci_address(text.substr(0, length))) return address;
    return std::nullopt;
}

// "pci:0000:03:00" of NVIDIA's driver: NVRM's Xid lines name no function.
std::optional<PciAddress> slot_of_nvidia(std::string_view text)
{
    constexpr std::string_view start = "pci:";
    constexpr std::size_t length = 10; // "0000:03:00"
    if (!text.starts_with(start) || text.size() < start.size() + length) return std::nullopt;
    return parse_pci_address(std::string(text.substr(start.size(), length)) + ".0");
}

// "03:00.0", with nothing beside it that could make it a part of something else, such as a time.
std::optional<PciAddress> without_domain(std::string_view text, std::size_t at)
{
    constexpr std::size_t length = 7;
    const auto is_part = [](char c) { return is_alnum(c) || c == ':' || c == '.'; };
    if (at > 0 && is_part(text[at - 1])) return std::nullopt;
    const auto end = at + length;
    if (end < text.size() &&
        (is_alnum(text[end]) || (text[end] == ':' && end + 1 < text.size() && is_digit(text[end + 1]))))
        return std::nullopt;
    return parse_pci_address("0000:" + std::string(text.substr(at, length)));
}

} // namespace

std::vector<PciAddress> addresses_in(std::string_view given)
{
    const auto text = lower(given);
    std::vector<PciAddress> whole, others;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto rest = std::string_view(text).substr(at);
        if (const auto address = whole_address(rest))
            whole.push_back(*address);
        else if (const auto slot = slot_of_nvidia(rest))
            others.push_back(*slot);
        else if (const auto short_one = without_domain(text, at))
            others.push_back(*short_one);
    }
    append(whole, others);
    return whole;
}

std::optional<PciAddress> address_in(std::string_view text)
{
    const auto all = addresses_in(text);
    return all.empty() ? std::nullopt : std::optional(all.front());
}

} // namespace pvegpu
