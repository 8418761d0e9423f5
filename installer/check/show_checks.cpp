#include "check/show_checks.hpp"

#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/known_messages.hpp"
#include "host/survey.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

struct Group {
    Verdict verdict;
    const char *one, *several, *title;
    Colour colour;
};
constexpr std::array groups{Group{Verdict::error, "error", "errors", "ERRORS", Colour::red},
                            Group{Verdict::warning, "warning", "warnings", "WARNINGS", Colour::yellow},
                            Group{Verdict::unknown, "unknown", "unknown", "UNKNOWN", Colour::magenta},
                            Group{Verdict::note, "note", "notes", "NOTES", Colour::cyan},
                            Group{Verdict::ok, "ok", "ok", "OK", Colour::green}};

// The name of the device, where the finding is about one and it is known.
std::string name_of_subject(const Finding& finding, const DeviceNames& names)
{
    const auto address = parse_pci_address(finding.subject);
    return address ? device_name(names, *address) : "";
}

class Printer {
public:
    Printer(const Findings& findings, const DeviceNames& names, const Screen& screen)
        : findings_(findings), names_(names), screen_(screen)
    {
    }

    std::string text() const
    {
        std::string text;
        for (const auto& group : groups) text += group_text(group);
        return text + screen_.painted(summary(findings_), Colour::bold) + "\n" + first_thing_to_do();
    }

private:
    // Broken between words; every line begins with `indent`, the first one with `first`, which is as long.
    std::string wrapped(const std::string& text, const std::string& first, const std::string& indent) const
    {
        std::string lines, line = first;
        for (const auto word : split(text, ' ')) {
            if (line.size() > indent.size() && line.size() + 1 + word.size() > screen_.width) {
                lines += line + "\n";
                line = indent;
            }
            if (line.size() > indent.size()) line += ' ';
            line += word;
        }
        return lines + line + "\n";
    }

    // "    found:  "
    std::string label(const std::string& what) const
    {
        auto text = "    " + what + ":";
        text.resize(indent_.size(), ' ');
        return text;
    }

    std::string row(const std::string& what, std::string_view text) const
    {
        return wrapped(printable(text), label(what), indent_);
    }

    // A command is copied from the screen, so it stays in one line and has nothing beside it.
    std::string fix(const std::string& what, const Remedy& remedy) const
    {
        if (remedy.command.empty()) return remedy.words.empty() ? "" : row(what, remedy.words);
        const auto command = label(what) + printable(remedy.command) + "\n";
        return remedy.words.empty()
                   ? command
                   : command + wrapped("(" + printable(remedy.words) + ")", indent_, indent_);
    }

    std::string finding_text(const Finding& finding, const Group& group) const
    {
        auto text = "  " + screen_.painted(subject_text(finding, names_), Colour::bold) + "  " +
                    screen_.painted(std::string(finding.name), group.colour) + "\n";
        text += row("wanted", finding.title) + row("found", finding.evidence) + row("why", finding.why) +
                fix("fix", finding.remedy);
        if (finding.remedy.install_does_it) text += indent_ + "('pve-gpu-install' does it)\n";
        return text;
    }

    // Those that are well take a line each subject: nobody reads them at three in the morning.
    std::string ok_text() const
    {
        std::vector<std::pair<std::string, std::string>> by_subject;
        for (const auto& finding : findings_) {
            if (finding.verdict != Verdict::ok) continue;
            auto* known =
                find_where(by_subject, [&](const auto& line) { return line.first == finding.subject; });
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

    std::string group_text(const Group& group) const
    {
        if (count(findings_, group.verdict) == 0) return "";
        auto text = screen_.painted(group.title, group.colour) + "\n";
        if (group.verdict == Verdict::ok) return text + ok_text() + "\n";
        for (const auto& finding : findings_)
            if (finding.verdict == group.verdict) text += finding_text(finding, group) + "\n";
        return text;
    }

    // The errors have scrolled away behind the rest.
    std::string first_thing_to_do() const
    {
        const auto* const finding = find_where(findings_, [](const Finding& one) {
            return one.verdict >= Verdict::warning && !(one.remedy == Remedy{});
        });
        if (finding == nullptr) return "";
        return "\nFIRST OF ALL\n" + fix("do", finding->remedy) +
               row("for", subject_text(*finding, names_) + ": " + std::string(finding->title));
    }

    const Findings& findings_;
    const DeviceNames& names_;
    const Screen& screen_;
    const std::string indent_ = std::string(12, ' ');
};

std::string cell(std::string_view text)
{
    std::string result;
    for (const char c : text) result += c == '|' ? std::string("\\|") : std::string(1, c);
    return result;
}

std::string table_row(std::initializer_list<std::string_view> cells)
{
    std::string line = "|";
    for (const auto text : cells) line += " " + cell(text) + " |";
    return line + "\n";
}

} // namespace

std::string remedy_text(const Remedy& remedy)
{
    if (remedy.words.empty() || remedy.command.empty()) return remedy.words + remedy.command;
    return remedy.command + " (" + remedy.words + ")";
}

std::string summary(const Findings& findings)
{
    std::string text;
    for (const auto& group : groups) {
        const auto number = count(findings, group.verdict);
        if (number == 0 && group.verdict != Verdict::error && group.verdict != Verdict::warning) continue;
        text += (text.empty() ? "" : ", ") + counted_verdicts(number, group.verdict);
    }
    return text;
}

std::string counted_verdicts(std::size_t number, Verdict verdict)
{
    const auto* const group = find_by(groups, verdict, &Group::verdict);
    return std::to_string(number) + " " + (number == 1 ? group->one : group->several);
}

std::string subject_text(const Finding& finding, const DeviceNames& names)
{
    const auto name = name_of_subject(finding, names);
    return (name.empty() ? "" : name + ", ") + finding.subject;
}

std::string print_findings(const Findings& findings, const DeviceNames& names, const Screen& screen)
{
    return Printer(findings, names, screen).text();
}

Json findings_json(const Findings& findings, const DeviceNames& names, const Survey& survey)
{
    Json json{{"schema", "pve-gpu-hook/check/1"}, {"worst", to_string(worst(findings))}};
    auto& checks = json["checks"] = Json::array();
    for (const auto& finding : findings) {
        std::vector<unsigned> vmids;
        std::vector<std::string> instances; // of Incus or LXD
        for (const auto number : finding.guests)
            if (const auto* const guest = survey.find(number); guest != nullptr && guest->id.is_instance())
                instances.push_back(guest->id.instance);
            else
                vmids.push_back(number);
        checks.push_back({{"name", finding.name},
                          {"title", finding.title},
                          {"subject", finding.subject},
                          {"device", or_null(name_of_subject(finding, names))},
                          {"guests", vmids},
                          {"instances", instances},
                          {"verdict", to_string(finding.verdict)},
                          {"evidence", finding.evidence},
                          {"why", finding.why},
                          {"remedy", or_null(remedy_text(finding.remedy))},
                          {"command", or_null(finding.remedy.command)},
                          {"install_does_it", finding.remedy.install_does_it}});
    }
    return json;
}

std::string checks_list()
{
    std::string text = "# What `pve-gpu-install check` looks at\n\n"
                       "Printed by `pve-gpu-install check --list`; a test compares it with this file.\n\n";
    text += table_row({"check", "if all is well", "looks at", "why it matters"}) +
            table_row({"---", "---", "---", "---"});
    for (const auto& check : all_checks())
        text += table_row({"`" + std::string(check.name) + "`", check.title, check.looks_at, check.why});
    text += "\n## Messages that it knows\n\nIn the kernel's log, or pasted: `pve-gpu-install check --explain "
            "\"TEXT\"`. `*` stands for any text.\n\n";
    text += table_row({"check", "message", "cause", "certainty", "remedy", "source"}) +
            table_row({"---", "---", "---", "---", "---", "---"});
    for (const auto& message : known_messages())
        text +=
            table_row({"`" + message.name + "`", "`" + join(message.patterns, "`, `") + "`", message.cause,
                       to_string(message.certainty), remedy_of(message, CpuVendor::other), message.source});
    return text;
}

Json checks_json()
{
    Json json{{"schema", "pve-gpu-hook/checks/1"}, {"checks", Json::array()}, {"messages", Json::array()}};
    for (const auto& check : all_checks())
        json["checks"].push_back(
            {{"name", check.name}, {"title", check.title}, {"looks_at", check.looks_at}, {"why", check.why}});
    for (const auto& message : known_messages())
        json["messages"].push_back({{"name", message.name},
                                    {"patterns", message.patterns},
                                    {"cause", message.cause},
                                    {"certainty", to_string(message.certainty)},
                                    {"remedy", remedy_of(message, CpuVendor::other)},
                                    {"source", message.source}});
    return json;
}

} // namespace pvegpu
