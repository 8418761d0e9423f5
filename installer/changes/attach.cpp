#include "changes/attach.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "host/programs.hpp"
#include "host/stub.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

const Storage& storage_for_hooks(const Survey& survey)
{
    const auto* found = choose_storage(survey.storages, survey.host.cluster.node);
    if (found == nullptr)
        throw Error(ErrorKind::failed, {"no storage of this node has a directory for snippets",
                                        "add one of the type 'dir' below Datacenter, Storage"});
    return *found;
}

void link_snippet(const Survey& survey, const std::string& path, InstallPlan& plan)
{
    const auto link = survey.links.find(path);
    if (link != survey.links.end() && link->second == paths::hook_program) return;
    if (survey.file(path) == stub_text())
        return; // of a removed package; it runs the hook that is there again
    if (link != survey.links.end() || survey.file(path))
        throw Error(ErrorKind::failed, {"is there already and is not ours", "move it away"}, path);
    if (!contains(plan.changes, path, &Change::path))
        plan.changes.push_back(link_change(path, std::nullopt, std::string(paths::hook_program),
                                           "because a hookscript has to be a snippet of a storage"));
}

void remember_old_hook(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan)
{
    const auto& volume = guest.config.hookscript;
    const auto path = snippet_path(survey.storages, volume);
    if (!path)
        throw Error(
            ErrorKind::failed,
            {guest.id.name() + " has the hookscript " + quote(volume) + ", whose file cannot be found",
             "remove it with '" + guest.id.set_command("--delete hookscript") + "' first"});
    const auto file = paths::chained_hook(guest.id.vmid);
    const Json chained{{"volume", volume}, {"path", *path}};
    auto change = file_change(file, survey.file(file), chained.dump() + "\n",
                              "because a guest has one hookscript only: ours runs " + quote(volume) + " too");
    change.for_root_only = true;
    plan.changes.push_back(std::move(change));
}

// Of a hookscript that the guest had once, or that another guest with its number had: it would be run again.
void forget_old_hook(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan)
{
    const auto file = paths::chained_hook(guest.id.vmid);
    const auto text = survey.file(file);
    if (!text) return;
    auto change = file_change(file, text, std::nullopt,
                              "because " + guest.id.name() + " has no other hookscript any more");
    change.for_root_only = true;
    plan.changes.push_back(std::move(change));
}

// A guest whose hookscript is gone cannot start.
void mend_snippet(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan)
{
    const auto path = snippet_path(survey.storages, guest.config.hookscript);
    if (path && path->ends_with('/' + std::string(paths::hook_snippet)) && !guest.snippet_unseen)
        link_snippet(survey, *path, plan);
}

} // namespace

void link_hook(const Survey& survey, InstallPlan& plan)
{
    link_snippet(survey, paths::join(storage_for_hooks(survey).snippets, paths::hook_snippet), plan);
}

void attach_guest(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan)
{
    if (guest.attached) return mend_snippet(survey, guest, plan);
    link_hook(survey, plan);
    const auto& old = guest.config.hookscript;
    if (old.empty())
        forget_old_hook(survey, guest, plan);
    else
        remember_old_hook(survey, guest, plan);
    const auto volume = storage_for_hooks(survey).id + ":snippets/" + std::string(paths::hook_snippet);
    plan.changes.push_back(setting_change({guest.id, old, volume}, "so that Proxmox runs the hook before " +
                                                                       guest.id.name() + " starts"));
    plan.attachments.push_back({guest.id.vmid, volume, old});
}

void check_programs(const Survey& survey, const InstallPlan& plan)
{
    const auto need = [&](const std::string& program) {
        if (!survey.programs.contains(program))
            throw Error(ErrorKind::not_found, {"is not there, and it is needed", "install its package"},
                        program);
    };
    if (!plan.attachments.empty()) need(std::string(paths::hook_program));
    for (const auto& change : plan.changes) {
        if (change.kind == Change::Kind::program) need(change.argv.front());
        if (change.kind == Change::Kind::link && change.after) need(*change.after);
    }
}

} // namespace pvegpu
