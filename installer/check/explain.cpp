#include "check/explain.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/findings.hpp"
#include "check/known_messages.hpp"

#include <algorithm>
#include <optional>

namespace pvegpu {
namespace {

struct Explained {
    const KnownMessage* message = nullptr;
    std::optional<PciAddress> device;
    std::string first;
    unsigned times = 0;
};

std::vector<Explained> known_lines(std::string_view text)
{
    std::vector<Explained> known;
    for (LineReader lines(text); lines.next();)
        for (const auto* message : messages_like(lines.line())) {
            const auto device = address_in(lines.line());
            const auto same = std::ranges::find_if(
                known, [&](const Explained& one) { return one.message == message && one.device == device; });
            if (same == known.end())
                known.push_back({message, device, printable(trim(lines.line()), 200), 1});
            else
                ++same->times;
        }
    return known;
}

enum class Place { cause, consequence, harmless };

Place place_of(const Explained& one, const std::vector<Explained>& known)
{
    if (one.message->verdict == Verdict::ok) return Place::harmless;
    const auto brings_it = [&](const Explained& other) {
        return contains(one.message->follows, other.message->name) &&
               (!one.device || !other.device || *one.device == *other.device);
    };
    return std::ranges::any_of(known, brings_it) ? Place::consequence : Place::cause;
}

// The guests of the kind that the remedy is about.
const std::vector<unsigned>& guests_for(const KnownMessage& message, const std::vector<unsigned>& vms,
                                        const std::vector<unsigned>& containers)
{
    const bool of_container =
        message.name.starts_with("log.ct-") || message.remedy.find("--ct {vmid}") != std::string::npos;
    return of_container ? containers : vms;
}

} // namespace

std::string explain(std::string_view text, const std::vector<unsigned>& vms,
                    const std::vector<unsigned>& containers)
{
    const auto known = known_lines(text);
    std::string answer;
    for (const auto place : {Place::cause, Place::consequence, Place::harmless})
        for (const auto& one : known) {
            if (place_of(one, known) != place) continue;
            const auto& message = *one.message;
            if (!answer.empty()) answer += "\n";
            answer += one.first;
            if (one.times > 1) answer.append("\n  ").append(counted(one.times, "such line"));
            if (place == Place::consequence) answer += "\n  comes of what stands above";
            answer.append("\n  cause (").append(to_string(message.certainty)).append("): ");
            answer.append(message.cause).append("\n  fix: ");
            answer += remedy_of(message, CpuVendor::other, guests_for(message, vms, containers), one.device);
            answer += "\n";
        }
    return answer;
}

} // namespace pvegpu
