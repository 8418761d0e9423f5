#include "changes/show.hpp"

#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <vector>

namespace pvegpu {
namespace {

// A file's text may hold anything, and this goes to a terminal. Tabs and line ends are what they are.
std::string shown(std::string_view text)
{
    std::string result;
    for (LineReader lines(text); lines.next();) {
        const auto parts = split(lines.line(), '\t');
        for (std::size_t i = 0; i < parts.size(); ++i) result += (i == 0 ? "" : "\t") + printable(parts[i]);
        result += '\n';
    }
    return result;
}

std::string diff_of(const Change& change)
{
    return change.kind == Change::Kind::file || change.kind == Change::Kind::instance
               ? unified_diff(change.path, change.before, change.after)
               : "";
}

Json change_json(const Change& change)
{
    Json json;
    json["kind"] = change.kind == Change::Kind::program    ? "program"
                   : change.kind == Change::Kind::instance ? "instance"
                                                           : "file";
    if (change.kind == Change::Kind::instance) json["instance"] = change.instance.text();
    if (change.kind == Change::Kind::program)
        json["argv"] = change.argv;
    else
        json["path"] = change.path;
    if (change.kind == Change::Kind::link) json["link"] = or_null(change.after);
    json["diff"] = diff_of(change);
    json["reason"] = change.reason;
    json["undo"] = describe_undo(change);
    return json;
}

std::string painted_diff(const std::string& diff, const Screen& screen)
{
    std::string text;
    for (LineReader lines(diff); lines.next();) {
        const std::string line(lines.line());
        const bool head = line.starts_with("--- ") || line.starts_with("+++ ");
        text += (head                    ? line
                 : line.starts_with('+') ? screen.painted(line, Colour::green)
                 : line.starts_with('-') ? screen.painted(line, Colour::red)
                 : line.starts_with('@') ? screen.painted(line, Colour::cyan)
                                         : line) +
                "\n";
    }
    return text;
}

constexpr std::size_t context = 3; // lines, as diff -u has it

struct Line {
    char mark = ' '; // ' ', '-' or '+'
    std::string_view text;
};

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text)
{
    Lines lines;
    for (LineReader reader(text); reader.next();) lines.push_back(reader.line());
    return lines;
}

// lengths[i][j]: of the longest common subsequence of what follows line i of one and line j of the other. The
// files that we change are short.
std::vector<std::vector<std::size_t>> common_lengths(const Lines& one, const Lines& other)
{
    std::vector lengths(one.size() + 1, std::vector<std::size_t>(other.size() + 1));
    for (std::size_t i = one.size(); i-- > 0;)
        for (std::size_t j = other.size(); j-- > 0;)
            lengths[i][j] = one[i] == other[j] ? lengths[i + 1][j + 1] + 1
                                               : std::max(lengths[i + 1][j], lengths[i][j + 1]);
    return lengths;
}

std::vector<Line> compare(const Lines& one, const Lines& other)
{
    const auto lengths = common_lengths(one, other);
    std::vector<Line> result;
    std::size_t i = 0, j = 0;
    while (i < one.size() || j < other.size()) {
        if (i < one.size() && j < other.size() && one[i] == other[j]) {
            result.push_back({' ', one[i++]});
            ++j;
        } else if (j == other.size() || (i < one.size() && lengths[i + 1][j] >= lengths[i][j + 1])) {
            result.push_back({'-', one[i++]});
        } else {
            result.push_back({'+', other[j++]});
        }
    }
    return result;
}

// Which lines are shown: the changed ones and those near them.
std::vector<bool> near_changes(const std::vector<Line>& lines)
{
    std::vector<bool> shown(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].mark == ' ') continue;
        const auto end = std::min(i + context + 1, lines.size());
        for (auto k = i - std::min(i, context); k < end; ++k) shown[k] = true;
    }
    return shown;
}

std::string range(std::size_t before, std::size_t count)
{
    const auto first = count == 0 ? before : before + 1;
    return std::to_string(first) + (count == 1 ? "" : "," + std::to_string(count));
}

struct Position {
    std::size_t before = 0, after = 0; // lines of the two files up to here

    void pass(const Line& line)
    {
        if (line.mark != '+') ++before;
        if (line.mark != '-') ++after;
    }
};

std::string hunks(const std::vector<Line>& lines)
{
    const auto shown = near_changes(lines);
    std::string text;
    Position at;
    for (std::size_t i = 0; i < lines.size();) {
        if (!shown[i]) {
            at.pass(lines[i++]);
            continue;
        }
        const Position start = at;
        std::string body;
        for (; i < lines.size() && shown[i]; ++i) {
            at.pass(lines[i]);
            body += lines[i].mark + std::string(lines[i].text) + "\n";
        }
        text += "@@ -" + range(start.before, at.before - start.before) + " +" +
                range(start.after, at.after - start.after) + " @@\n" + body;
    }
    return text;
}

} // namespace

std::string sum_up(const std::vector<Change>& changes)
{
    std::size_t files = 0, programs = 0;
    std::vector<std::string> settings;
    for (const auto& change : changes) {
        if (change.kind == Change::Kind::instance)
            settings.push_back("devices of " + change.instance.vm());
        else if (change.kind != Change::Kind::program)
            ++files;
        else if (change.setting)
            settings.push_back(change.setting->key + " of " + change.setting->guest.name());
        else
            ++programs;
    }
    std::vector<std::string> parts;
    if (files != 0) parts.push_back(counted(files, "file"));
    if (programs != 0) parts.push_back(counted(programs, "program"));
    append(parts, settings);
    return join(parts, ", ");
}

std::string print_changes(const std::vector<Change>& changes, const Screen& screen)
{
    std::string text;
    for (const auto& change : changes)
        text += screen.painted(printable(describe(change)), Colour::bold) + "\n  " +
                printable(change.reason) + "\n  undone by: " + printable(describe_undo(change)) + "\n" +
                painted_diff(shown(diff_of(change)), screen) + "\n";
    return text + "In all: " + printable(sum_up(changes)) + ".\n";
}

Json install_json(const InstallPlan& plan)
{
    Json json{{"schema", "pve-gpu-hook/install/1"}};
    auto& changes = json["changes"] = Json::array();
    for (const auto& change : plan.changes) changes.push_back(change_json(change));
    json["changed"] = !plan.changes.empty();
    json["reboot_needed"] = !plan.reboot_reasons.empty();
    json["reboot_reasons"] = plan.reboot_reasons;
    json["notes"] = plan.notes;
    json["warnings"] = sentences(plan.warnings);
    return json;
}

std::string unified_diff(const std::string& path, const std::optional<std::string>& before,
                         const std::optional<std::string>& after)
{
    if (before == after) return "";
    const auto old_text = before.value_or(""), new_text = after.value_or("");
    return "--- " + (before ? path : "/dev/null") + "\n+++ " + (after ? path : "/dev/null") + "\n" +
           hunks(compare(lines_of(old_text), lines_of(new_text)));
}

} // namespace pvegpu
