// What `check` finds: one verdict about one thing, with what it looked at and what to do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

enum class Verdict { ok, note, unknown, warning, error }; // the later the worse
std::string to_string(Verdict verdict);

struct Finding {
    std::string subject; // "host", "log", "0000:03:00.0" (a GPU, for its card), "VM 101"
    Verdict verdict = Verdict::ok;
    std::string evidence;         // path and value, in a few words
    std::string remedy;           // what to do, in words; empty: nothing, or what `command` says
    bool install_does_it = false; // 'pve-gpu-install --vm N' makes it right
    std::vector<unsigned> guests; // whom it concerns; empty: everybody

    // Of the check that found it.
    std::string_view name = {};
    std::string_view why = {};

    std::string command = {}; // what root can paste into a shell as it is; empty: there is none

    bool concerns(unsigned vmid) const;
    bool operator==(const Finding&) const = default;
};

using Findings = std::vector<Finding>;

struct CheckFacts;

// Pure: facts in, findings out; no finding where there is nothing to look at (no card, no guest).
struct Check {
    std::string_view name;     // "iommu.enabled"
    std::string_view looks_at; // for the list: in a few words
    std::string_view why;      // a sentence
    std::function<Findings(const CheckFacts&)> look;
};

// In the order of the documentation: host, card, guest, log.
const std::vector<Check>& all_checks();

// Every check, worst first; within a verdict in the order of the table.
Findings run_checks(const CheckFacts& facts);

// Those that concern one of these guests; all of them if none is given.
Findings narrowed(const Findings& findings, const std::vector<unsigned>& vmids);

Verdict worst(const Findings& findings); // ok if there is none
std::size_t count(const Findings& findings, Verdict verdict);

} // namespace pvegpu
