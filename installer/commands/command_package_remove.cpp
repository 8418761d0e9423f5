// What the package's prerm calls: the host as it was, and no guest without its hookscript.
#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/apply.hpp"
#include "changes/guest_reboots.hpp"
#include "changes/removal_survey.hpp"
#include "changes/remove_plan.hpp"
#include "commands/commands.hpp"
#include "host/stub.hpp"
#include "incus/taken_devices.hpp"
#include "machine/paths.hpp"
#include "recovery/recover_gpu.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <utility>

namespace pvegpu {
namespace {

class Removal {
public:
    explicit Removal(Session& session) : session_(session), system_(session.system) {}

    int run()
    {
        finish_recoveries();
        take_install_lock(system_);
        manifest_ = read_manifest_or_none(system_);
        survey_ = survey_what_can_be_seen(system_, manifest_);
        if (!survey_) return without_proxmox();
        detach_guests();
        detach_instances();
        references_ = read_hook_references(system_);
        try {
            leave_stubs();
        } catch (const Error&) {
            attach_again();
            throw;
        }
        undo_files();
        return exit_done;
    }

private:
    int without_proxmox() const
    {
        if (!manifest_.empty())
            system_.say(Severity::warning,
                        "this is no Proxmox VE host any more; what the installer changed is "
                        "left as it is, see " +
                            quote(paths::install_manifest));
        return exit_done;
    }

    // A recovery at work may end, its program stays until then. What a killed one left is repaired by the
    // next run, and after this there is none.
    void finish_recoveries() const
    {
        if (!system_.exists(std::string(paths::run))) return;
        const auto system = session_.another_system(); // the lock lasts as long as this
        const std::string lock(paths::lock);
        bool ours = system->lock(lock, Milliseconds(0));
        if (!ours) session_.console.progress("waiting for a recovery that is at work ...");
        if (!ours) ours = system->lock(lock, default_settings().timeouts.total);
        if (ours)
            repair_before_planning(*system, default_settings());
        else
            system_.say(Severity::warning, "a recovery is still at work; it is left to end by itself");
    }

    void make(const RemovePlan& plan)
    {
        apply(system_, session_.console, plan.changes, manifest_, plan.left);
        manifest_ = plan.left;
    }

    void detach_instances()
    {
        const auto instances = manifest_.instances;
        for (const auto& one : instances) {
            try {
                give_back_what_was_left(system_, one.name);
                const auto plan =
                    make_detach_plan(*survey_, manifest_, {}, {one.name}, IfItRuns::keep_devices);
                for (const auto& warning : plan.warnings) system_.say(Severity::warning, to_string(warning));
                make(plan);
                system_.say(Severity::info, one.name.vm() + " is as it was before");
            } catch (const Error& error) {
                system_.say(Severity::warning, one.name.vm() + " keeps what it was given: " + error.what());
            }
        }
    }

    // One by one: a guest that is locked does not keep the others.
    void detach_guests()
    {
        for (const auto& guest : survey_->guests) {
            if (!is_ours(guest)) continue;
            try {
                const auto plan = make_detach_plan(*survey_, manifest_, {guest.id.vmid});
                const auto before = manifest_;
                make(plan);
                detached_.push_back({guest.id.vmid, plan.changes, before});
                system_.say(Severity::info, "detached the hook from guest " + std::to_string(guest.id.vmid));
            } catch (const Error& error) {
                system_.say(Severity::warning,
                            "guest " + std::to_string(guest.id.vmid) + " keeps the hook: " + error.what());
            }
        }
    }

    // The package stays, and so does what it was installed for.
    void attach_again()
    {
        std::for_each(detached_.rbegin(), detached_.rend(), [&](const Detached& guest) {
            std::vector<Change> changes(guest.changes.rbegin(), guest.changes.rend());
            for (auto& change : changes) change = inverse(std::move(change));
            try {
                make({changes, {}, guest.before});
                system_.say(Severity::info, "guest " + std::to_string(guest.vmid) + " has the hook again");
            } catch (const Error& error) {
                system_.say(Severity::warning,
                            "guest " + std::to_string(guest.vmid) + " stays detached: " + error.what());
            }
        });
    }

    // Guests may have been attached by hand, to a link of another name.
    void see_referenced_links()
    {
        for (const auto& one : references_.value_or(std::vector<HookReference>{}))
            if (const auto path = snippet_path(survey_->storages, one.volume))
                if (const auto target = system_.read_link(*path)) survey_->links[*path] = *target;
    }

    void leave_stubs()
    {
        see_referenced_links();
        for (const auto& snippet : needed_snippets(*survey_, manifest_, references_)) {
            if (!may_be_replaced(snippet.path)) continue;
            if (!is_stub(system_, snippet.path)) leave_stub(system_, snippet.path);
            say_why(snippet);
            kept_.push_back(entry_of(snippet.path));
        }
    }

    // Not what the administrator has put there since, and nothing below the mount point of a storage that is
    // away.
    bool may_be_replaced(const std::string& path) const
    {
        if (const auto target = system_.read_link(path)) return *target == entry_of(path).installed;
        if (system_.exists(path)) return is_stub(system_, path);
        return system_.exists(path.substr(0, path.rfind('/')));
    }

    ManifestEntry entry_of(const std::string& path) const
    {
        if (const auto* known = manifest_.find(path)) return *known;
        const std::string target(paths::hook_program); // somebody made it by hand, so it is theirs to remove
        return {Change::Kind::link, path, target, target, {}};
    }

    void say_why(const NeededSnippet& snippet) const
    {
        const auto who = references_ ? name_guests(snippet.references, survey_->host.cluster.node) +
                                           " (or a snapshot of it) refers to it"
                                     : std::string("the guests cannot be looked at");
        system_.say(Severity::warning, quote(snippet.path) + " is now a script that does nothing, because " +
                                           who + " and a guest does not start without its hookscript");
    }

    // Of guests that still refer to the hook: what they had before is not known from anywhere else.
    void keep_attachments()
    {
        for (const auto& guest : manifest_.attachments) {
            const bool refers =
                !references_ || std::any_of(references_->begin(), references_->end(),
                                            [&](const auto& one) { return one.id.vmid == guest.vmid; });
            if (!refers) continue;
            kept_guests_.push_back(guest);
            if (const auto* chained = manifest_.find(paths::chained_hook(guest.vmid)))
                kept_.push_back(*chained);
        }
    }

    Manifest without_kept() const
    {
        auto undone = manifest_;
        std::erase_if(undone.entries, [this](const auto& entry) {
            return std::ranges::any_of(kept_, [&](const auto& one) { return one.path == entry.path; });
        });
        std::erase_if(undone.attachments,
                      [this](const auto& guest) { return contains(kept_guests_, guest); });
        return undone;
    }

    // The files, and the links that nobody needs. The manifest then tells of what is kept only.
    void undo_files()
    {
        keep_attachments();
        auto survey =
            survey_what_can_be_seen(system_, manifest_).value_or(*survey_); // as detaching has left it
        survey.guests.clear(); // done already, or it cannot be done
        auto plan =
            make_uninstall_plan(survey, without_kept(), references_.value_or(std::vector<HookReference>{}));
        append(plan.left.entries, kept_);
        append(plan.left.attachments, kept_guests_);
        for (const auto& warning : plan.warnings) system_.say(Severity::warning, to_string(warning));
        try {
            make(plan);
        } catch (const Error& error) {
            system_.say(
                Severity::warning,
                std::string(error.what()) +
                    "; the host's files stay as they are: to take them back install the package again "
                    "and run 'pve-gpu-install uninstall'");
        }
    }

    struct Detached {
        unsigned vmid = 0;
        std::vector<Change> changes;
        Manifest before;
    };

    Session& session_;
    System& system_;
    Manifest manifest_;
    std::optional<Survey> survey_;
    std::optional<std::vector<HookReference>> references_;
    std::vector<ManifestEntry> kept_;
    std::vector<Attachment> kept_guests_;
    std::vector<Detached> detached_;
};

} // namespace

int package_remove(Session& session)
{
    return Removal(session).run();
}

} // namespace pvegpu
