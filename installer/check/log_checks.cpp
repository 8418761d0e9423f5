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
    std::string subject; // of the first
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

// A line may name a port and who reported to it: a card's own address counts most.
std::optional<PciAddress> subject_of_line(const CheckFacts& facts, std::string_view text)
{
    const auto all = addresses_in(text);
    const auto* of_card = find_where(all, [&](const auto& one) { return facts.gpu_with(one) != nullptr; });
    if (of_card != nullptr) return *of_card;
    return all.empty() ? std::nullopt : std::optional(all.front());
}

// What is said of two functions of a card, or of its port, is said of one thing.
std::string key_of(const CheckFacts& facts, const std::optional<PciAddress>& address)
{
    if (!address) return "log";
    const auto* gpu = facts.gpu_with(*address);
    return to_string(gpu == nullptr ? *address : gpu->card.functions.front());
}

// It answers, and no BAR is without an address; of one that sleeps nobody knows.
bool is_well(const Function& gpu)
{
    return gpu.config && gpu.config->health == Health::alive && bars_without_room(gpu).empty();
}

// Of a line that names no device: of whom it may be. One guest alone is meant if no other has a GPU.
std::vector<unsigned> guests_of(const CheckFacts& facts, const GpuFacts* gpu)
{
    if (gpu != nullptr) return gpu->vmids;
    std::vector<unsigned> all;
    for (const auto& one : facts.gpus)
        for (const auto vmid : one.vmids)
            if (!contains(all, vmid)) all.push_back(vmid);
    const auto meant = facts.meant(all);
    return meant.size() == 1 ? meant : std::vector<unsigned>{};
}

bool is_over(const CheckFacts& facts, const KnownMessage& message, const GpuFacts* gpu,
             const std::vector<unsigned>& guests)
{
    using Over = KnownMessage::Over;
    if (message.over == Over::answers) return gpu != nullptr && is_well(facts.function(*gpu));
    const auto meant = facts.meant(guests);
    return message.over == Over::starts && !meant.empty() &&
           std::ranges::all_of(meant, [&](unsigned vmid) { return facts.running_vms.contains(vmid); });
}

Remedy remedy_for(const CheckFacts& facts, const KnownMessage& message, const std::vector<unsigned>& guests,
                  const GpuFacts* gpu, const std::optional<PciAddress>& address, bool over)
{
    const bool left_alone = gpu != nullptr && gpu->passed() && !gpu->card.port;
    if (left_alone && message.reset) return {"the hook does not reset this card: see 'card.reset'"};
    const bool about_a_guest = message.hook || message.remedy.find("{vmid}") != std::string::npos;
    if (gpu != nullptr && !gpu->passed() && about_a_guest)
        return {"no guest has this GPU: see what else the host's own driver of it says"};
    const auto vmid = facts.advised(guests);
    const auto whom = vmid ? std::vector{*vmid} : std::vector<unsigned>{};
    // Where it helps and is not attached it is the command.
    const auto* const guest = vmid ? facts.survey.find(*vmid) : nullptr;
    const auto words = remedy_of(message, facts.host.cpu, whom, address, vmid.has_value(),
                                 guest == nullptr ? "" : guest->id.instance);
    const auto again = "it is over; if it comes again: " + words;
    if (message.hook && vmid && !facts.has_hook(*vmid) && !left_alone)
        return by_command(install_for(facts, guests), over ? again : words, true);
    return {over ? again : words};
}

// Of another device at most a note: it may be a disk that somebody has pulled. A device that is not there any
// more may have been the GPU.
Finding of_message(const CheckFacts& facts, const KnownMessage& message, const Seen& seen)
{
    Finding finding{message.verdict,
                    std::string(paths::kernel_log) + ": " + shortened(seen.last) + when(facts, seen)};
    if (seen.times > 1) finding.evidence += ", " + std::to_string(seen.times) + " times";
    finding.evidence += " (the cause is " + to_string(message.certainty) + ")";
    const auto address = parse_pci_address(seen.subject);
    const auto* gpu = address ? gpu_meant(facts, *address) : nullptr;
    const bool elsewhere = address && gpu == nullptr && facts.topology.find(*address) != nullptr;
    const auto guests = elsewhere ? std::vector<unsigned>{} : guests_of(facts, gpu);
    const bool over = is_over(facts, message, gpu, guests) && finding.verdict > Verdict::note;
    if (gpu != nullptr) finding.guests = gpu->vmids;
    if (elsewhere) finding.evidence += "; no GPU is there, or behind it";
    if (over)
        finding.evidence += message.over == KnownMessage::Over::answers
                                ? "; the card has come back: it answers, and every BAR has its address"
                                : "; the guest runs by now";
    if (elsewhere || over) finding.verdict = std::min(finding.verdict, Verdict::note);
    auto device = address;
    if (!device && guests.size() == 1) device = facts.first_gpu_of(guests.front())->address;
    finding.remedy = elsewhere && !message.hook && message.remedy.find("{vmid}") == std::string::npos
                         ? Remedy{remedy_of(message, facts.host.cpu, {}, device)}
                     : elsewhere ? Remedy{"look after that device; no guest's GPU has to do with it"}
                                 : remedy_for(facts, message, guests, gpu, device, over);
    finding.why = message.cause;
    finding.subject = seen.subject;
    finding.name = message.name;
    finding.title = message.title;
    return finding;
}

// By message, and within it by card.
using SeenMessages = std::map<std::string, std::map<std::string, Seen>>;

SeenMessages seen_in(const CheckFacts& facts)
{
    SeenMessages all;
    for (const auto& [text, like, time] : facts.log->known)
        for (const auto* message : like) {
            const auto address = subject_of_line(facts, text);
            auto& seen = all[message->name][key_of(facts, address)];
            seen = {seen.times == 0 ? (address ? to_string(*address) : "log") : seen.subject, text, time,
                    seen.times + 1};
        }
    return all;
}

// The message about the same card that this one comes with; nullptr if there is none.
const std::string* cause_of(const SeenMessages& all, const KnownMessage& message, const std::string& card)
{
    if (card == "log") return nullptr;
    return find_where(message.follows, [&](const std::string& name) {
        const auto found = all.find(name);
        return found != all.end() && found->second.contains(card);
    });
}

Findings known_in_log(const CheckFacts& facts)
{
    if (!facts.log) return {};
    const auto all = seen_in(facts);
    Findings findings;
    for (const auto& message : known_messages()) {
        const auto found = all.find(message.name);
        if (found == all.end()) continue;
        for (const auto& [card, seen] : found->second) {
            if (cause_of(all, message, card) != nullptr) continue;
            auto finding = of_message(facts, message, seen);
            for (const auto& other : known_messages())
                if (const auto* cause = cause_of(all, other, card);
                    cause != nullptr && *cause == message.name && all.contains(other.name) &&
                    all.at(other.name).contains(card))
                    finding.evidence += "; with it came " + shortened(all.at(other.name).at(card).last);
            findings.push_back(std::move(finding));
        }
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

bool log_has(const CheckFacts& facts, const GpuFacts& gpu, std::string_view message)
{
    return facts.log && std::ranges::any_of(facts.log->known, [&](const KernelLog::Line& line) {
               const auto address = subject_of_line(facts, line.text);
               return address && key_of(facts, address) == key_of(facts, gpu.address) &&
                      std::ranges::any_of(line.like, [&](const auto* one) { return one->name == message; });
           });
}

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
