// What `check` finds: one verdict about one thing, with what it looked at and what to do.
#pragma once

#include "base/enum_names.hpp"
#include "base/lists.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

enum class Verdict { ok, note, unknown, warning, error }; // the later the worse
inline constexpr std::array verdict_names{
    EnumName{"ok", Verdict::ok}, EnumName{"note", Verdict::note}, EnumName{"unknown", Verdict::unknown},
    EnumName{"warning", Verdict::warning}, EnumName{"error", Verdict::error}};
inline std::string to_string(Verdict verdict)
{
    return name_of(verdict_names, verdict);
}

// What a person reads and what a shell reads are kept apart: a command is pasted as it is.
struct Remedy {
    std::string words = {};       // empty: nothing, or what `command` says
    bool install_does_it = false; // 'pve-gpu-install --vm N' makes it right
    std::string command = {};     // empty: there is none

    bool operator==(const Remedy&) const = default;
};

inline Remedy by_command(std::string command, std::string words = "", bool install_does_it = false)
{
    return {std::move(words), install_does_it, std::move(command)};
}

struct Finding {
    Verdict verdict = Verdict::ok;
    std::string evidence; // path and value, in a few words
    Remedy remedy = {};
    std::string why = {}; // why it matters; empty: for the reason of the check that found it

    // Of the subject and of the check; a check sets them where the finding is about something else.
    std::string subject = "host";           // or "log", "0000:03:00.0" (a GPU, for its card), "VM 101"
    std::vector<unsigned> guests = {};      // whom it concerns; empty: everybody
    std::string_view name = {}, title = {}; // texts of a check, which live as long as the program

    bool concerns(unsigned vmid) const { return guests.empty() || contains(guests, vmid); }
    bool operator==(const Finding&) const = default;
};

using Findings = std::vector<Finding>;

struct CheckFacts;

// Pure: facts in, findings out; no finding where there is nothing to look at (no card, no guest).
struct Check {
    std::string_view name;     // "iommu.enabled"
    std::string_view title;    // what is so if all is well: "the IOMMU is on"
    std::string_view looks_at; // for the list: in a few words
    std::string_view why;      // a sentence
    Findings (*look)(const CheckFacts&);
};

// In the order of the documentation: host, card, guest, log.
std::vector<Check> all_checks();

// What every check finds for the guests that the facts are asked about, worst first; within a verdict what
// the kernel has said of their cards, then in the order of the table.
Findings run_checks(const CheckFacts& facts);

// Those that concern one of these guests; all of them if none is given.
Findings narrowed(const Findings& findings, const std::vector<unsigned>& vmids);

Verdict worst(const Findings& findings); // ok if there is none
std::size_t count(const Findings& findings, Verdict verdict);

} // namespace pvegpu
