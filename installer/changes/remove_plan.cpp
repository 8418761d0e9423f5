#include "changes/remove_plan.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/attach.hpp"
#include "changes/guest_reboots.hpp"
#include "changes/instance_install_plan.hpp"
#include "changes/removal_survey.hpp"
#include "containers/hard_coded.hpp"
#include "hook/chained_hook.hpp"
#include "host/programs.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

std::string where_it_is(const GuestEntry& guest)
{
    return guest.id.name() + " is on the node " + quote(guest.node);
}

class Remover {
public:
    Remover(const Survey& survey, const Manifest& manifest) : survey_(survey), manifest_(manifest)
    {
        plan_.left = manifest;
    }

    void detach(const SurveyedGuest& guest)
    {
        give_lines_back(guest); // before 'pct' writes the same file
        if (guest.attached) {
            plan_.changes.push_back(give_back(guest));
            detached_.insert(guest.id.vmid);
        } else if (manifest_.attachment(guest.id.vmid) != nullptr) {
            const auto& now = guest.config.hookscript;
            plan_.warnings.push_back(
                {guest.id.name() + (now.empty() ? " has no hookscript any more; nothing to detach"
                                                : " has another hookscript by now (" + quote(now) +
                                                      "), which is left as it is")});
        }
        take_devices(guest);
        take_monitor(guest);
        forget(guest.id.vmid);
    }

    // What is known of a guest that is on no node any more.
    void forget(unsigned vmid)
    {
        std::erase_if(plan_.left.attachments, [&](const auto& guest) { return guest.vmid == vmid; });
        std::erase(plan_.left.prepared.vms, vmid);
        const auto path = paths::chained_hook(vmid);
        drop(path);
        if (const auto text = survey_.file(path)) {
            auto change = file_change(path, text, std::nullopt,
                                      "because the guest's other hookscript is its own again");
            change.for_root_only = true;
            plan_.changes.push_back(std::move(change));
        }
    }

    // Of Incus or LXD. One that is gone has nothing to be given back.
    void detach(const AttachedInstance& attached, IfItRuns if_it_runs)
    {
        const auto* guest = survey_.find(number_of(attached.name));
        if (guest == nullptr && survey_.daemon_problem) {
            plan_.warnings.push_back(
                {attached.name.vm() + " keeps what it was given: " + survey_.daemon_problem->fact,
                 survey_.daemon_problem->remedy});
            return;
        }
        if (guest != nullptr) {
            auto removal = plan_instance_removal(survey_, *guest, attached, if_it_runs);
            append(plan_.changes, removal.changes);
            append(plan_.warnings, removal.warnings);
        }
        for (const auto& change : plan_.changes)
            if (change.kind == Change::Kind::link) drop(change.path);
        std::erase_if(plan_.left.instances, [&](const auto& one) { return one.name == attached.name; });
        std::erase(plan_.left.prepared.instances, attached.name.text());
    }

    // It still has the hook there, and may come back: the hookscript that it had before is written down here
    // only.
    void keep(const GuestEntry& guest)
    {
        plan_.warnings.push_back({where_it_is(guest), "what it had before stays written down here"});
        kept_.insert(paths::chained_hook(guest.id.vmid));
    }

    // Whoever names a link that is gone cannot start.
    void keep_needed_links(std::vector<HookReference> references)
    {
        std::erase_if(references,
                      [&](const auto& one) { return !one.saved && detached_.contains(one.id.vmid); });
        for (const auto& snippet : needed_snippets(survey_, manifest_, references)) {
            const auto* entry = manifest_.find(snippet.path);
            if (entry == nullptr || !entry->is_ours(now(*entry))) continue;
            kept_.insert(snippet.path);
            plan_.warnings.push_back({quote(snippet.path) + " stays, because " +
                                          name_guests(snippet.references, survey_.host.cluster.node) +
                                          " (or a snapshot of it) needs it",
                                      "'uninstall' takes it once nobody does"});
        }
    }

    void undo_files()
    {
        std::for_each(manifest_.entries.rbegin(), manifest_.entries.rend(),
                      [this](const ManifestEntry& entry) { undo(entry); });
        for (auto& program : build_programs(survey_.host, plan_.changes))
            plan_.changes.push_back(std::move(program));
    }

    RemovePlan take() { return std::move(plan_); }

private:
    // Empty if it had none; nothing if that is not known here: it was attached by hand, or on another node.
    std::optional<std::string> old_volume(const SurveyedGuest& guest) const
    {
        if (const auto* known = manifest_.attachment(guest.id.vmid); known != nullptr)
            return known->old_volume;
        const auto chained =
            parse_chained_hook(survey_.file(paths::chained_hook(guest.id.vmid)).value_or(""));
        return chained ? std::optional(chained->volume) : std::nullopt;
    }

    Change give_back(const SurveyedGuest& guest)
    {
        const auto known = old_volume(guest);
        auto old = known.value_or("");
        if (survey_.gone_hookscripts.contains(old)) {
            plan_.warnings.push_back(
                {"the hookscript " + quote(old) + ", which " + guest.id.name() +
                 " had before, is not given back: its file is not there, and Proxmox refuses it then"});
            old.clear();
        }
        if (!known && survey_.host.cluster.clustered)
            plan_.warnings.push_back({guest.id.name() + " was not attached on this node",
                                      "a hookscript that it had before is not given back, see " +
                                          quote(paths::install_manifest) +
                                          " on the node where it was attached"});
        return setting_change({guest.id, guest.config.hookscript, old},
                              !known ? "because no hookscript that the guest had before is known here"
                              : known->empty() ? "because the guest had no hookscript before"
                              : old.empty()    ? "because the hookscript that the guest had before is gone"
                                               : "because the guest had this hookscript before");
    }

    void give_lines_back(const SurveyedGuest& guest)
    {
        const auto* known = manifest_.attachment(guest.id.vmid);
        if (known == nullptr || known->lines.empty() || !guest.id.is_container()) return;
        auto change =
            file_change(paths::ct_config(guest.id.vmid), guest.text, with_lines(guest.text, known->lines),
                        "because the container had these lines before it was given devN entries");
        change.of_a_guest = true;
        change.lock = paths::ct_config_lock(guest.id.vmid);
        if (change.before != change.after) plan_.changes.push_back(std::move(change));
    }

    // Those devN of a container that are still as we wrote them.
    void take_devices(const SurveyedGuest& guest)
    {
        const auto* known = manifest_.attachment(guest.id.vmid);
        if (known == nullptr || known->devices.empty()) return;
        const std::string pct(programs::pct);
        const auto vmid = std::to_string(guest.id.vmid);
        std::vector<std::string> keys;
        Change change;
        change.kind = Change::Kind::program;
        change.undo = {pct, "set", vmid};
        for (const auto& device : guest.lxc.devices_at_next_start()) {
            const auto& ours = known->devices;
            if (!contains(ours, device.key + "=" + device.value)) continue;
            keys.push_back(device.key);
            change.undo.insert(change.undo.end(), {"--" + device.key, device.value});
        }
        if (keys.size() < known->devices.size())
            plan_.warnings.push_back(
                {"container " + vmid +
                 ": what has changed of the device nodes that it was given is left as it is"});
        if (keys.empty()) return;
        change.argv = {pct, "set", vmid, "--delete", join(keys, ",")};
        change.reason =
            "because the container had no such device nodes before; one that runs keeps them until it stops";
        change.hint = "see whether the container is locked";
        plan_.changes.push_back(std::move(change));
    }

    void take_monitor(const SurveyedGuest& guest)
    {
        if (auto change =
                monitor_change(guest, without_monitor(guest.args.next),
                               "because it told the hook when the guest reboots by itself; what else "
                               "stands in 'args' stays"))
            plan_.changes.push_back(std::move(*change));
        if (!guest.args.snapshots.empty())
            plan_.warnings.push_back(
                {(guest.args.snapshots.size() == 1 ? "the snapshot '" : "the snapshots '") +
                     join(guest.args.snapshots, "', '") + "' of " + guest.id.name() +
                     " still have the hook's monitor in 'args', where it does no harm",
                 "after a rollback '" + guest.id.tool() + " config " + guest.id.number() + "' shows it"});
    }

    void drop(const std::string& path)
    {
        std::erase_if(plan_.left.entries, [&](const auto& entry) { return entry.path == path; });
    }

    std::optional<std::string> now(const ManifestEntry& entry) const
    {
        if (entry.kind == Change::Kind::file) return survey_.file(entry.path);
        const auto link = survey_.links.find(entry.path);
        return link == survey_.links.end() ? std::nullopt : std::optional(link->second);
    }

    void undo(const ManifestEntry& entry)
    {
        const bool forgotten = plan_.left.find(entry.path) == nullptr; // with its guest
        if (forgotten || kept_.contains(entry.path)) return;
        const auto text = now(entry);
        const bool planned = contains(plan_.changes, entry.path, &Change::path);
        if (planned || text == entry.original) return drop(entry.path);
        if (!entry.is_ours(text)) {
            plan_.warnings.push_back(
                {"'" + entry.path + "' was changed since it was installed and is left as it is",
                 (entry.original ? "what it was is in '" + std::string(paths::install_backups) + entry.path +
                                       ".original'"
                                 : "it was not there before, remove it if it is not needed")});
            return;
        }
        const std::string reason =
            entry.original ? "because it was so before" : "because it was not there before";
        plan_.changes.push_back(entry.kind == Change::Kind::file
                                    ? file_change(entry.path, text, entry.original, reason)
                                    : link_change(entry.path, text, entry.original, reason));
        drop(entry.path);
    }

    const Survey& survey_;
    const Manifest& manifest_;
    RemovePlan plan_;
    std::set<unsigned> detached_;
    std::set<std::string> kept_; // paths
};

} // namespace

RemovePlan make_detach_plan(const Survey& survey, const Manifest& manifest,
                            const std::vector<unsigned>& vmids, const std::vector<InstanceName>& instances,
                            IfItRuns if_it_runs)
{
    Remover remover(survey, manifest);
    for (const auto& name : instances) {
        const auto* const attached = manifest.find(name);
        if (attached == nullptr)
            throw Error(ErrorKind::not_found, {name.vm() + " was given nothing by 'pve-gpu-install --incus'",
                                               "'pve-gpu-install status' shows whom it was"});
        if (survey.find(number_of(name)) == nullptr && survey.daemon_problem)
            throw Error(ErrorKind::failed, *survey.daemon_problem);
        remover.detach(*attached, if_it_runs);
    }
    for (const auto vmid : vmids) {
        const auto* guest = survey.find(vmid);
        if (const auto* other = survey.find_elsewhere(vmid); guest == nullptr && other != nullptr)
            throw Error(ErrorKind::not_found,
                        {where_it_is(*other), "detach it there, or move it here first"});
        if (guest == nullptr && manifest.attachment(vmid) == nullptr)
            throw Error(ErrorKind::not_found, {"there is no guest " + std::to_string(vmid) + " on this node",
                                               "'qm list' and 'pct list' show those that are"});
        if (guest != nullptr)
            remover.detach(*guest);
        else
            remover.forget(vmid);
    }
    return remover.take();
}

RemovePlan make_uninstall_plan(const Survey& survey, const Manifest& manifest,
                               const std::vector<HookReference>& references)
{
    const auto refers = [&](unsigned vmid) {
        return std::ranges::any_of(references, [&](const auto& one) { return one.id.vmid == vmid; });
    };
    Remover remover(survey, manifest);
    for (const auto& guest : survey.guests)
        if (is_ours(guest) || manifest.attachment(guest.id.vmid) != nullptr) remover.detach(guest);
    for (const auto& guest : manifest.attachments) {
        if (survey.find(guest.vmid) != nullptr) continue;
        if (const auto* other = survey.find_elsewhere(guest.vmid); other != nullptr && refers(guest.vmid))
            remover.keep(*other);
        else
            remover.forget(guest.vmid);
    }
    for (const auto& one : manifest.instances) remover.detach(one, IfItRuns::refuse);
    remover.keep_needed_links(references);
    remover.undo_files();
    return remover.take();
}

} // namespace pvegpu
