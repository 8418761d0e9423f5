#include "check/explain.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/findings.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

std::vector<Explanation> known_lines(std::string_view text)
{
    std::vector<Explanation> known;
    for (LineReader lines(text); lines.next();)
        for (const auto* message : messages_like(lines.line())) {
            const auto device = address_in(lines.line());
            const auto same = std::ranges::find_if(known, [&](const Explanation& one) {
                return one.message == message && one.device == device;
            });
            if (same == known.end())
                known.push_back({message, device, printable(trim(lines.line()), 200), 1, Place::cause, ""});
            else
                ++same->times;
        }
    return known;
}

Place place_of(const Explanation& one, const std::vector<Explanation>& known)
{
    if (one.message->verdict == Verdict::ok) return Place::harmless;
    const auto brings_it = [&](const Explanation& other) {
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

std::vector<Explanation> explain(std::string_view text, const std::vector<unsigned>& vms,
                                 const std::vector<unsigned>& containers)
{
    auto known = known_lines(text);
    for (auto& one : known) {
        one.place = place_of(one, known);
        one.remedy =
            remedy_of(*one.message, CpuVendor::other, guests_for(*one.message, vms, containers), one.device);
    }
    std::ranges::stable_sort(known, {}, &Explanation::place);
    return known;
}

std::string print_explanations(const std::vector<Explanation>& explanations)
{
    std::string answer;
    for (const auto& one : explanations) {
        if (!answer.empty()) answer += "\n";
        answer += one.line;
        if (one.times > 1) answer.append("\n  ").append(counted(one.times, "such line"));
        if (one.place == Place::consequence) answer += "\n  comes of what stands above";
        answer.append("\n  cause (").append(to_string(one.message->certainty)).append("): ");
        answer.append(one.message->cause).append("\n  fix: ").append(one.remedy).append("\n");
    }
    return answer;
}

Json explanations_json(const std::vector<Explanation>& explanations)
{
    constexpr std::array places{EnumName{"cause", Place::cause}, EnumName{"consequence", Place::consequence},
                                EnumName{"harmless", Place::harmless}};
    Json json{{"schema", "pve-gpu-hook/explain/1"}, {"messages", Json::array()}};
    for (const auto& one : explanations)
        json["messages"].push_back({{"name", one.message->name},
                                    {"line", one.line},
                                    {"times", one.times},
                                    {"device", or_null(one.device)},
                                    {"place", name_of(places, one.place)},
                                    {"certainty", to_string(one.message->certainty)},
                                    {"cause", one.message->cause},
                                    {"remedy", one.remedy}});
    return json;
}

} // namespace pvegpu
