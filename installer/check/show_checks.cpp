#include "check/show_checks.hpp"

#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/known_messages.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

struct Group {
    Verdict verdict;
    const char *one, *several, *title;
    const char* colour;
};
constexpr std::array groups{Group{Verdict::error, "error", "errors", "ERRORS", "31"},
                            Group{Verdict::warning, "warning", "warnings", "WARNINGS", "33"},
                            Group{Verdict::unknown, "unknown", "unknown", "UNKNOWN", "35"},
                            Group{Verdict::note, "note", "notes", "NOTES", "36"},
                            Group{Verdict::ok, "ok", "ok", "OK", "32"}};

constexpr std::size_t width_of_text = 100; // characters; a terminal has at least 80, and half of them 120

std::string painted(const std::string& text, const char* colour, bool colours)
{
    return colours ? "\x1b[" + std::string(colour) + "m" + text + "\x1b[0m" : text;
}

// Broken between words; every line begins with `indent`, the first one with `first`, which is as long.
std::string wrapped(const std::string& text, const std::string& first, const std::string& indent)
{
    std::string lines, line = first;
    for (const auto word : split(text, ' ')) {
        if (line.size() > indent.size() && line.size() + 1 + word.size() > width_of_text) {
            lines += line + "\n";
            line = indent;
        }
        if (line.size() > indent.size()) line += ' ';
        line += word;
    }
    return lines + line + "\n";
}

// A command is copied from the screen, so it stays in one line and has nothing beside it.
std::string fix_text(const Finding& finding, const std::string& indent)
{
    const auto words = printable(finding.remedy.words);
    if (finding.remedy.command.empty()) return words.empty() ? "" : wrapped(words, "    fix:    ", indent);
    const auto command = "    fix:    " + printable(finding.remedy.command) + "\n";
    return words.empty() ? command : command + wrapped("(" + words + ")", indent, indent);
}

std::string finding_text(const Finding& finding, const Group& group, bool colours)
{
    const std::string indent(12, ' ');
    std::string text = "  " + painted(std::string(finding.subject), "1", colours) + "  " +
                       painted(std::string(finding.name), group.colour, colours) + "\n";
    text += wrapped(printable(finding.evidence), "    found:  ", indent);
    if (finding.verdict == Verdict::ok) return text;
    text += wrapped(printable(finding.why), "    why:    ", indent);
    text += fix_text(finding, indent);
    if (finding.remedy.install_does_it) text += indent + "('pve-gpu-install' does it)\n";
    return text;
}

// Those that are well take a line each subject: nobody reads them at three in the morning.
std::string ok_text(const Findings& findings)
{
    std::vector<std::pair<std::string, std::string>> by_subject;
    for (const auto& finding : findings) {
        if (finding.verdict != Verdict::ok) continue;
        auto* known = find_where(by_subject, [&](const auto& line) { return line.first == finding.subject; });
        if (known == nullptr)
            by_subject.emplace_back(finding.subject, finding.name);
        else
            known->second += " " + std::string(finding.name);
    }
    std::string text;
    for (const auto& [subject, names] : by_subject) {
        auto first = "  " + subject + "  ";
        first.resize(std::max<std::size_t>(first.size(), 16), ' ');
        text += wrapped(names, first, std::string(first.size(), ' '));
    }
    return text;
}

std::string group_text(const Findings& findings, const Group& group, bool colours)
{
    if (count(findings, group.verdict) == 0) return "";
    auto text = painted(group.title, group.colour, colours) + "\n";
    if (group.verdict == Verdict::ok) return text + ok_text(findings) + "\n";
    for (const auto& finding : findings)
        if (finding.verdict == group.verdict) text += finding_text(finding, group, colours) + "\n";
    return text;
}

// The command and the words in one text.
std::string whole(const Remedy& remedy)
{
    if (remedy.words.empty() || remedy.command.empty()) return remedy.words + remedy.command;
    return remedy.command + " (" + remedy.words + ")";
}

std::string cell(std::string_view text)
{
    std::string result;
    for (const char c : text) result += c == '|' ? std::string("\\|") : std::string(1, c);
    return result;
}

std::string row(std::initializer_list<std::string_view> cells)
{
    std::string line = "|";
    for (const auto text : cells) line += " " + cell(text) + " |";
    return line + "\n";
}

} // namespace

std::string summary(const Findings& findings)
{
    std::string text;
    for (const auto& group : groups) {
        const auto number = count(findings, group.verdict);
        if (number == 0 && group.verdict != Verdict::error && group.verdict != Verdict::warning) continue;
        text += (text.empty() ? "" : ", ") + std::to_string(number) + " " +
                (number == 1 ? group.one : group.several);
    }
    return text;
}

std::string print_findings(const Findings& findings, bool colours)
{
    std::string text;
    for (const auto& group : groups) text += group_text(findings, group, colours);
    return text + painted(summary(findings), "1", colours) + "\n";
}

std::string findings_json(const Findings& findings)
{
    Json json{{"schema", "pve-gpu-hook/check/1"}, {"worst", to_string(worst(findings))}};
    auto& checks = json["checks"] = Json::array();
    for (const auto& finding : findings)
        checks.push_back({{"name", finding.name},
                          {"title", finding.title},
                          {"subject", finding.subject},
                          {"guests", finding.guests},
                          {"verdict", to_string(finding.verdict)},
                          {"evidence", finding.evidence},
                          {"why", finding.why},
                          {"remedy", or_null(whole(finding.remedy))},
                          {"command", or_null(finding.remedy.command)},
                          {"install_does_it", finding.remedy.install_does_it}});
    return print(json);
}

std::string checks_list()
{
    std::string text = "# What `pve-gpu-install check` looks at\n\n"
                       "Printed by `pve-gpu-install check --list`; a test compares it with this file.\n\n";
    text +=
        row({"check", "if all is well", "looks at", "why it matters"}) + row({"---", "---", "---", "---"});
    for (const auto& check : all_checks())
        text += row({"`" + std::string(check.name) + "`", check.title, check.looks_at, check.why});
    text += "\n## Messages that it knows\n\nIn the kernel's log, or pasted: `pve-gpu-install check --explain "
            "\"TEXT\"`. `*` stands for any text.\n\n";
    text += row({"check", "message", "cause", "certainty", "remedy", "source"}) +
            row({"---", "---", "---", "---", "---", "---"});
    for (const auto& message : known_messages())
        text += row({"`" + message.name + "`", "`" + join(message.patterns, "`, `") + "`", message.cause,
                     to_string(message.certainty), remedy_of(message, CpuVendor::other), message.source});
    return text;
}

} // namespace pvegpu
