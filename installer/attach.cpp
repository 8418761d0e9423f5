#include "attach.hpp"

#include "error.hpp"
#include "paths.hpp"
#include "programs.hpp"
#include "stub.hpp"
#include "text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

void need(const Survey& survey, std::string_view program)
{
    if (!survey.programs.contains(std::string(program)))
        throw Error(Reason::not_found, "is not there, and it is needed; install its package",
                    std::string(program));
}

void link_snippet(const Survey& survey, const std::string& path, InstallPlan& plan)
{
    const auto link = survey.links.find(path);
    if (link != survey.links.end() && link->second == paths::hook_program) return;
    if (survey.file(path) == stub_text())
        return; // of a removed package; it runs the hook that is there again
    if (link != survey.links.end() || survey.file(path))
        throw Error(Reason::failed, "is there already and is not ours; move it away", path);
    const bool planned = std::any_of(plan.changes.begin(), plan.changes.end(),
                                     [&](const Change& change) { return change.path == path; });
    if (!planned)
        plan.changes.push_back(link_change(path, std::nullopt, std::string(paths::hook_program),
                                           "a hookscript has to be a snippet of a storage"));
}

void remember_old_hook(const Survey& survey, unsigned vmid, const std::string& volume, InstallPlan& plan)
{
    const auto path = snippet_path(survey.storages, volume);
    if (!path)
        throw Error(Reason::failed, "container " + std::to_string(vmid) + " has the hookscript " +
                                        quote(volume) +
                                        ", whose file cannot be found; remove it with 'pct set " +
                                        std::to_string(vmid) + " --delete hookscript' first");
    const auto file = paths::chained_hook(vmid);
    const auto text = nlohmann::ordered_json{{"volume", volume}, {"path", *path}}.dump() + "\n";
    auto change = file_change(file, survey.file(file), text,
                              "a guest has one hookscript only: ours runs " + quote(volume) + " too");
    change.for_root_only = true;
    plan.changes.push_back(std::move(change));
}

} // namespace

void attach_container(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan)
{
    need(survey, programs::pct);
    if (guest.attached) return;
    need(survey, paths::hook_program);
    const auto* place = choose_storage(survey.storages, survey.host.cluster.node);
    if (place == nullptr)
        throw Error(Reason::failed, "no storage of this node has a directory for snippets; add one of the "
                                    "type 'dir' below Datacenter, Storage");
    link_snippet(survey, paths::join(place->snippets, paths::hook_snippet), plan);
    const auto& old = guest.lxc.hookscript;
    if (!old.empty()) remember_old_hook(survey, guest.vmid, old, plan);
    const auto volume = place->id + ":snippets/" + std::string(paths::hook_snippet);
    const std::string pct(programs::pct);
    const auto vmid = std::to_string(guest.vmid);
    Change change;
    change.kind = Change::Kind::program;
    change.argv = {pct, "set", vmid, "--hookscript", volume};
    change.undo = old.empty() ? std::vector<std::string>{pct, "set", vmid, "--delete", "hookscript"}
                              : std::vector<std::string>{pct, "set", vmid, "--hookscript", old};
    change.reason = "Proxmox runs the hook before container " + vmid + " starts";
    change.hint = "see 'systemctl status pve-cluster' and whether the container is locked";
    plan.changes.push_back(std::move(change));
    plan.attachments.push_back({guest.vmid, volume, old});
}

} // namespace pvegpu
