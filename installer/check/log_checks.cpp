// The kernel's log, and what of it is known.
#include "check/findings.hpp"

#include "base/lists.hpp"

namespace pvegpu {
namespace {

std::optional<std::uint64_t> time_of(std::string_view head)
{
    constexpr std::size_t field = 2; // priority, sequence, microseconds, flags
    const auto fields = split(head, ',');
    return fields.size() > field ? parse_number<std::uint64_t>(fields[field]) : std::nullopt;
}

// "6,1234,5678,-;text": the number in front is facility * 8 + severity; the kernel's facility is 0.
std::optional<std::pair<std::string, std::optional<std::uint64_t>>> kernel_message(std::string_view line)
{
    constexpr unsigned severities = 8;
    const auto parts = split_once(line, ';');
    if (line.starts_with(' ') || !parts) return std::nullopt;
    const auto number = parse_decimal(parts->first.substr(0, count_front(parts->first, is_digit)));
    if (!number || *number >= severities) return std::nullopt;
    return std::pair(std::string(parts->second), time_of(parts->first));
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
    std::optional<std::uint64_t> time; // of the last
    unsigned times = 0;
};

// In the largest unit that there is one of.
std::string age(std::uint64_t microseconds)
{
    constexpr std::uint64_t second = 1'000'000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
    if (microseconds >= day) return counted(microseconds / day, "day");
    if (microseconds >= hour) return counted(microseconds / hour, "hour");
    if (microseconds >= minute) return counted(microseconds / minute, "minute");
    return counted(microseconds / second, "second");
}

std::string when(const CheckFacts& facts, const Seen& seen)
{
    if (!seen.time || !facts.up || *facts.up < *seen.time) return "";
    return ", " + age(*facts.up - *seen.time) + " ago";
}

// The GPU that the message is about: of its card, or of the bridges above it. nullptr if there is none.
const GpuFacts* gpu_meant(const CheckFacts& facts, const PciAddress& address)
{
    if (const auto* gpu = facts.gpu_with(address)) return gpu;
    return find_where(facts.gpus,
                      [&](const GpuFacts& gpu) { return contains(facts.function(gpu).above, address); });
}

// It answers, and no BAR is without an address; of one that sleeps nobody knows.
bool is_well(const Function& gpu)
{
    return gpu.config && gpu.config->health == Health::alive && bars_without_room(gpu).empty();
}

// Of another device at most a note: it may be a disk that somebody has pulled. A device that is not there any
// more may have been the GPU.
void moderate(const CheckFacts& facts, const KnownMessage& message, const PciAddress& address,
              Finding& finding)
{
    const auto* gpu = gpu_meant(facts, address);
    if (gpu != nullptr) finding.guests = gpu->vmids;
    if (gpu == nullptr && facts.topology.find(address) != nullptr) {
        finding.evidence += "; no GPU is there, or behind it";
        finding.verdict = std::min(finding.verdict, Verdict::note);
    } else if (gpu != nullptr && message.passes && is_well(facts.function(*gpu)) &&
               finding.verdict > Verdict::note) {
        finding.evidence += "; the card has come back: it answers, and every BAR has its address";
        finding.verdict = Verdict::note;
    }
}

Finding of_message(const CheckFacts& facts, const KnownMessage& message, const std::string& subject,
                   const Seen& seen)
{
    Finding finding{message.verdict,
                    std::string(paths::kernel_log) + ": " + shortened(seen.last) + when(facts, seen)};
    if (seen.times > 1) finding.evidence += ", " + std::to_string(seen.times) + " times";
    finding.evidence += " (the cause is " + to_string(message.certainty) + ")";
    const auto address = parse_pci_address(subject);
    if (address) moderate(facts, message, *address, finding);
    finding.remedy.words = remedy_of(message, facts.host.cpu, finding.guests, address);
    finding.why = message.cause;
    finding.subject = subject;
    finding.name = message.name;
    finding.title = message.title;
    return finding;
}

Findings known_in_log(const CheckFacts& facts)
{
    if (!facts.log) return {};
    Findings findings;
    for (const auto& message : known_messages()) {
        std::map<std::string, Seen> by_subject;
        for (const auto& [text, like, time] : facts.log->known) {
            if (!contains(like, &message)) continue;
            const auto address = address_in(text);
            auto& seen = by_subject[address ? to_string(*address) : "log"];
            seen = {text, time, seen.times + 1};
        }
        for (const auto& [subject, seen] : by_subject)
            findings.push_back(of_message(facts, message, subject, seen));
    }
    return findings;
}

Findings log_readable(const CheckFacts& facts)
{
    const std::string log(paths::kernel_log);
    Finding finding{Verdict::unknown, log + " cannot be read",
                    by_command("journalctl -k -b --no-pager", "look yourself: 'pve-gpu-install check "
                                                              "--explain TEXT' says what a line means")};
    if (facts.log)
        finding = {Verdict::ok, log + " has " + std::to_string(facts.log->messages) + " kernel messages"};
    finding.subject = "log";
    return {finding};
}

} // namespace

KernelLog parse_kernel_log(std::string_view text)
{
    KernelLog log;
    for (LineReader lines(text); lines.next();) {
        auto message = kernel_message(lines.line());
        if (!message) continue;
        ++log.messages;
        if (auto like = messages_like(message->first); !like.empty())
            log.known.push_back({std::move(message->first), std::move(like), message->second});
    }
    return log;
}

std::vector<Check> log_checks()
{
    return {
        {"log.readable", "the kernel's log can be read", "/dev/kmsg",
         "the kernel says there what went wrong, until it is overwritten", log_readable},
        {"log.known", "the kernel has complained of nothing that is known",
         "/dev/kmsg against the messages below; a finding has the message's own name",
         "the kernel says what went wrong, but not what to do about it", known_in_log},
    };
}

} // namespace pvegpu
