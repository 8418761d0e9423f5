// The kernel's log, and what of it is known.
#include "check_families.hpp"
#include "opinions.hpp"
#include "text.hpp"

#include <algorithm>
#include <map>

namespace pvegpu {
namespace {

// "6,1234,5678,-;text": the number in front is facility * 8 + severity; the kernel's facility is 0.
std::optional<std::string> kernel_message(std::string_view line)
{
    constexpr unsigned severities = 8;
    const auto parts = split_once(line, ';');
    if (line.starts_with(' ') || !parts) return std::nullopt;
    const auto number = parse_decimal(parts->first.substr(0, count_front(parts->first, is_digit)));
    if (!number || *number >= severities) return std::nullopt;
    return std::string(parts->second);
}

// Cut between words: half of a hardware address or of a name would slip through the report's redaction.
std::string shortened(std::string_view text)
{
    constexpr std::size_t longest = 160; // of two lines on a terminal
    if (text.size() <= longest) return "'" + printable(text) + "'";
    const auto blank = text.rfind(' ', longest);
    return "'" + printable(text.substr(0, blank == std::string_view::npos ? 0 : blank)) + " ...'";
}

struct Seen {
    std::string last;
    unsigned times = 0;
};

void put_in(std::string& text, std::string_view place, const std::string& value)
{
    for (auto at = text.find(place); at != std::string::npos; at = text.find(place, at + value.size()))
        text.replace(at, place.size(), value);
}

// The table's commands have places for the guest and the device.
std::string remedy_for(const KnownMessage& message, const std::vector<unsigned>& guests,
                       const std::optional<PciAddress>& address)
{
    std::string text(message.remedy);
    if (address) put_in(text, "ADDRESS", to_string(*address));
    if (guests.empty()) return text;
    for (const auto* command : {"--vm ", "--ct ", "qm set ", "--dry-run "})
        put_in(text, std::string(command) + "N", command + number_of(guests));
    return text;
}

Finding of_message(const CheckFacts& facts, const KnownMessage& message, const std::string& subject,
                   const Seen& seen)
{
    Finding finding{subject, message.verdict, "/dev/kmsg: " + shortened(seen.last), "", false, {}, {}, {}};
    if (seen.times > 1) finding.evidence += ", " + std::to_string(seen.times) + " times";
    finding.evidence += " (the cause is " + to_string(message.certainty) + ")";
    const auto address = parse_pci_address(subject);
    if (const auto* card = address ? facts.card_with(*address) : nullptr) finding.guests = card->vmids;
    finding.remedy = remedy_for(message, finding.guests, address);
    return finding;
}

} // namespace

KernelLog parse_kernel_log(std::string_view text)
{
    KernelLog log;
    for (LineReader lines(text); lines.next();) {
        auto message = kernel_message(lines.line());
        if (!message) continue;
        ++log.messages;
        if (auto like = messages_like(*message); !like.empty())
            log.known.push_back({std::move(*message), std::move(like)});
    }
    return log;
}

Findings log_readable(const CheckFacts& facts)
{
    if (facts.log)
        return {{"log",
                 Verdict::ok,
                 "/dev/kmsg has " + std::to_string(facts.log->messages) + " kernel messages",
                 "",
                 false,
                 {},
                 {},
                 {}}};
    return {{"log",
             Verdict::unknown,
             "/dev/kmsg cannot be read",
             "run it as root; or paste a line: pve-gpu-install check --explain \"LINE\"",
             false,
             {},
             {},
             {}}};
}

Findings log_has(const CheckFacts& facts, const KnownMessage& message)
{
    std::map<std::string, Seen> by_subject;
    if (!facts.log) return {};
    for (const auto& [text, like] : facts.log->known) {
        if (std::find(like.begin(), like.end(), &message) == like.end()) continue;
        const auto address = address_in(text);
        auto& seen = by_subject[address ? to_string(*address) : "log"];
        seen = {text, seen.times + 1};
    }
    Findings findings;
    for (const auto& [subject, seen] : by_subject)
        findings.push_back(of_message(facts, message, subject, seen));
    return findings;
}

} // namespace pvegpu
