#include "changes/change.hpp"

#include "base/shell_quote.hpp"
#include "base/text.hpp"
#include "host/programs.hpp"
#include "incus/attached_instance.hpp"

#include <utility>

namespace pvegpu {
namespace {

std::vector<std::string> set_to(const GuestSetting& what, const std::string& value)
{
    const auto& program = what.guest.is_container() ? programs::pct : paths::qm_program;
    std::vector<std::string> argv{std::string(program), "set", what.guest.number()};
    if (value.empty())
        argv.insert(argv.end(), {"--delete", what.key});
    else
        argv.insert(argv.end(), {"--" + what.key, value});
    return argv;
}

std::string put(const Change& change, const std::optional<std::string>& from,
                const std::optional<std::string>& to)
{
    if (change.kind == Change::Kind::instance) return "change the devices of " + change.instance.vm();
    const auto path = "'" + change.path + "'";
    if (!to) return "remove " + path;
    if (change.kind == Change::Kind::link) return "link " + path + " to '" + *to + "'";
    return (from ? "change " : "write ") + path;
}

} // namespace

Change file_change(std::string path, std::optional<std::string> before, std::optional<std::string> after,
                   std::string reason)
{
    Change change;
    change.path = std::move(path);
    change.before = std::move(before);
    change.after = std::move(after);
    change.reason = std::move(reason);
    return change;
}

Change link_change(std::string path, std::optional<std::string> before, std::optional<std::string> after,
                   std::string reason)
{
    auto change = file_change(std::move(path), std::move(before), std::move(after), std::move(reason));
    change.kind = Change::Kind::link;
    return change;
}

Change setting_change(GuestSetting what, std::string reason)
{
    Change change;
    change.kind = Change::Kind::program;
    change.argv = set_to(what, what.after);
    change.undo = set_to(what, what.before);
    change.reason = std::move(reason);
    change.hint = "see 'systemctl status pve-cluster' and whether the guest is locked";
    change.setting = std::move(what);
    return change;
}

Change instance_change(const Instance& instance, std::string after, std::string reason)
{
    auto change = file_change(instance.command("config show"), instance_text(instance), std::move(after),
                              std::move(reason));
    change.kind = Change::Kind::instance;
    change.instance = instance.name;
    change.socket = instance.socket;
    return change;
}

Change inverse(Change change)
{
    std::swap(change.before, change.after);
    std::swap(change.argv, change.undo);
    if (change.setting) std::swap(change.setting->before, change.setting->after);
    return change;
}

std::string describe(const Change& change)
{
    if (change.kind == Change::Kind::program) return "run '" + shell_line(change.argv) + "'";
    return put(change, change.before, change.after);
}

std::string describe_undo(const Change& change)
{
    if (change.kind == Change::Kind::program)
        return change.undo.empty() ? "nothing" : "run '" + shell_line(change.undo) + "'";
    if (change.before && change.kind == Change::Kind::file) return "restore '" + change.path + "'";
    return put(change, change.after, change.before);
}

} // namespace pvegpu
