#include "changes/show.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "changes/diff.hpp"

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
    return change.kind == Change::Kind::file ? unified_diff(change.path, change.before, change.after) : "";
}

std::string print_list(const std::string& title, const std::vector<std::string>& lines)
{
    std::string text;
    for (const auto& line : lines) text += title + ": " + printable(line) + "\n";
    return text;
}

std::string print_change(const Change& change)
{
    return printable(describe(change)) + "\n  because " + printable(change.reason) +
           "\n  undone by: " + printable(describe_undo(change)) + "\n" + shown(diff_of(change)) + "\n";
}

Json change_json(const Change& change)
{
    Json json;
    json["kind"] = change.kind == Change::Kind::program ? "program" : "file";
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

} // namespace

std::string print_changes(const std::vector<Change>& changes)
{
    std::string text;
    for (const auto& change : changes) text += print_change(change);
    return text;
}

std::string print_plan(const InstallPlan& plan)
{
    return print_changes(plan.changes) + print_list("note", plan.notes) +
           print_list("warning", sentences(plan.warnings)) + print_list("reboot needed", plan.reboot_reasons);
}

std::string install_json(const InstallPlan& plan)
{
    Json json{{"schema", "pve-gpu-hook/install/1"}};
    auto& changes = json["changes"] = Json::array();
    for (const auto& change : plan.changes) changes.push_back(change_json(change));
    json["changed"] = !plan.changes.empty();
    json["reboot_needed"] = !plan.reboot_reasons.empty();
    json["reboot_reasons"] = plan.reboot_reasons;
    json["notes"] = plan.notes;
    json["warnings"] = sentences(plan.warnings);
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace pvegpu
