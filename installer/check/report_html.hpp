// The findings as one file, to attach to a forum post or to paste into it: HTML without anything from
// elsewhere, or text. Pure.
#pragma once

#include "check/check.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// Text that nobody else should read, and what stands in its place. What looks like a hardware address, a UUID
// or an IP address is replaced too.
class Redactor {
public:
    explicit Redactor(const CheckFacts& facts);
    Redactor() = default; // keeps everything

    std::string operator()(std::string_view text) const;

private:
    bool active_ = false;
    std::vector<std::pair<std::string, std::string>> secrets_; // the longest first
};

struct ReportOptions {
    bool full = false;   // with host names, VM names and the rest
    std::string made_at; // "2026-11-21 05:12 UTC"
};

// Whether a file is one of these, so that it may be written anew.
bool is_report(std::string_view text);

std::string report_html(const CheckFacts& facts, const Findings& findings, const ReportOptions& options);

// The same as text, to paste into a forum.
std::string report_text(const CheckFacts& facts, const Findings& findings, const ReportOptions& options);

// The tree from the host's root buses down to each GPU, as lists; devices that are on no way to one are
// counted.
std::string tree_html(const CheckFacts& facts, const Findings& findings);

// & < > " ' as entities, control characters as \xNN.
std::string escaped(std::string_view text);

} // namespace pvegpu
