#include "changes/apply.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/hard_coded.hpp"
#include "host/programs.hpp"
#include "host/pve_files.hpp"
#include "incus/attached_instance.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/vm_args.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu {
namespace {

// update-initramfs takes a minute for each kernel on an old disk, and a host keeps several.
constexpr Milliseconds program_ends_within{15 * 60 * 1000};

// Proxmox itself waits ten seconds for the lock of a guest (PVE::AbstractConfig::lock_config), and pmxcfs
// answers within seconds or not at all.
constexpr Milliseconds config_changed_within{20'000};

constexpr mode_t mode_of_configuration = 0644;

class Applier {
public:
    Applier(System& system, Console& console, bool programs_run)
        : system_(system), console_(console), programs_run_(programs_run)
    {
    }

    std::vector<std::string> missing_directories(const std::vector<Change>& changes) const
    {
        std::vector<std::string> missing;
        for (const auto& change : changes)
            if (change.is_in_file_system() && change.after && !change.for_root_only)
                add_missing_above(change.path, missing);
        return missing;
    }

    void make_all(const std::vector<Change>& changes)
    {
        for (const auto& change : changes) {
            begun_.push_back(&change);
            make(change);
            finished_ = begun_.size();
        }
        keep_output();
    }

    // What could not be undone, each with its reason.
    std::vector<std::string> undo_all()
    {
        std::vector<std::string> left;
        for (auto i = begun_.size(); i-- > 0;)
            if (!begun_[i]->rebuilds() && (i < finished_ || happened(*begun_[i]))) undo(*begun_[i], left);
        for (const auto* change : begun_)
            if (change->rebuilds()) undo(*change, left);
        keep_output();
        return left;
    }

private:
    // The outer ones first.
    void add_missing_above(const std::string& path, std::vector<std::string>& missing) const
    {
        const auto directory = path.substr(0, path.rfind('/'));
        if (directory.empty() || system_.exists(directory)) return;
        add_missing_above(directory, missing);
        if (!contains(missing, directory)) missing.push_back(directory);
    }

    void make(const Change& change)
    {
        switch (change.kind) {
        case Change::Kind::file:
            check_unchanged(change, text_of(change));
            if (change.of_a_guest) return put_config(change, *change.before, *change.after);
            return put_file(change, change.after);
        case Change::Kind::link:
            check_unchanged(change, system_.read_link(change.path));
            return put_link(change, change.after);
        case Change::Kind::program:
            run(change.argv, change.hint, change.rebuilds());
            return check_setting(change);
        case Change::Kind::instance:
            console_.progress("changing the devices of " + change.instance.vm() + " ...");
            return put_instance_text(system_, change.instance, change.socket, *change.before, *change.after);
        }
    }

    std::optional<std::string> text_of(const Change& change) const
    {
        return change.of_a_guest ? read_pve_file(system_, change.path) : system_.read(change.path);
    }

    std::string now_set(const GuestSetting& setting) const
    {
        const auto text = read_pve_file(system_, setting.guest.config_path()).value_or("");
        return setting.key == "args" ? read_vm_args(text).next : parse_guest_config(text).hookscript;
    }

    void check_setting(const Change& change) const
    {
        if (!change.setting || !programs_run_) return;
        if (const auto now = now_set(*change.setting); now != change.setting->after)
            throw Error(ErrorKind::failed,
                        {quote(join(change.argv, " ")) + " ended well, but the guest's " +
                             change.setting->key + " is " + (now.empty() ? "none" : quote(now)),
                         "look at its config"});
    }

    // Of a program that failed: whether it has changed the guest all the same.
    bool happened(const Change& change) const
    {
        try {
            if (change.kind == Change::Kind::instance)
                return instance_text(read_instance(DaemonReader(system_, change.socket), change.instance)) ==
                       change.after;
            if (!change.setting || !programs_run_) return false;
            return now_set(*change.setting) == change.setting->after;
        } catch (const Error&) {
            return true; // then the program that undoes it says what is wrong
        }
    }

    static void check_unchanged(const Change& change, const std::optional<std::string>& now)
    {
        if (now != change.before)
            throw Error(ErrorKind::failed, {"was changed by somebody else just now", "run this again"},
                        change.path);
    }

    // In a child of its own: /etc/pve can block for ever.
    void put_config(const Change& change, const std::string& from, const std::string& to)
    {
        const auto outcome =
            system_.replace_locked(change.path, change.lock, from, to, config_changed_within);
        if (outcome.done()) return;
        if (outcome.still_running())
            throw Error(ErrorKind::timed_out,
                        {"Proxmox's cluster file system does not answer, and the change may yet be made",
                         "see 'systemctl status pve-cluster'"},
                        change.path);
        if (outcome.error_number == ESTALE) check_unchanged(change, std::nullopt);
        throw Error(ErrorKind::failed,
                    outcome.error_number == EWOULDBLOCK
                        ? Advice{"is being changed by Proxmox", "run this again when that has ended"}
                        : Advice{"cannot be changed", "see 'systemctl status pve-cluster'"},
                    change.path, outcome.error_number == EWOULDBLOCK ? 0 : outcome.error_number);
    }

    // Proxmox has written the file since, and so may others: only what was done is taken back.
    void undo_config(const Change& change)
    {
        const auto now = text_of(change);
        if (!now) return; // the container is gone
        const auto text = without_change(*now, *change.before, *change.after);
        if (text != *now) put_config(change, *now, text);
    }

    void put_file(const Change& change, const std::optional<std::string>& text)
    {
        if (!text)
            system_.remove_file(change.path);
        else if (change.for_root_only)
            system_.replace_file(change.path, *text);
        else
            system_.install_file(change.path, *text, mode_of_configuration);
    }

    void put_link(const Change& change, const std::optional<std::string>& target)
    {
        if (system_.read_link(change.path)) system_.remove_file(change.path);
        if (target) system_.make_link(change.path, *target);
    }

    // An initramfs takes longest by far; GRUB's file and a refresh of the boot partitions some seconds.
    static std::string how_long(const std::string& program)
    {
        return program == programs::update_initramfs ? ", a minute or more for each kernel ..."
                                                     : ", some seconds ...";
    }

    // What takes long shows its own lines meanwhile.
    void run(const std::vector<std::string>& argv, const std::string& hint, bool takes_long)
    {
        const auto command = join(argv, " ");
        console_.progress("running '" + command + "'" + (takes_long ? how_long(argv.front()) : " ..."));
        const auto begin = system_.now();
        const auto outcome = system_.run(argv, program_ends_within, [&](std::string_view line) {
            if (takes_long) console_.program_says(line);
        });
        output_ += "$ " + command + "\n" + outcome.text;
        if (takes_long)
            console_.progress("it took " +
                              in_seconds(std::chrono::duration_cast<Milliseconds>(system_.now() - begin)));
        if (outcome.done()) return say_skipped(argv, outcome.text);
        for (LineReader lines(outcome.text); lines.next() && !takes_long;)
            system_.say(Severity::info, lines.line());
        const auto how = outcome.still_running()
                             ? " did not end within " + std::to_string(program_ends_within.count() / 60'000) +
                                   " minutes and was killed"
                             : " failed (" + std::to_string(outcome.error_number) + ")";
        throw Error(ErrorKind::failed, {quote(command) + how, hint});
    }

    // proxmox-boot-tool leaves out a partition that it cannot mount and ends well all the same
    // (update_esp_func in zz-proxmox-boot).
    void say_skipped(const std::vector<std::string>& argv, const std::string& text)
    {
        if (argv.front() != programs::proxmox_boot_tool) return;
        for (LineReader lines(text); lines.next();)
            if (lines.line().ends_with("skipping"))
                system_.say(Severity::warning, "proxmox-boot-tool says: " + std::string(lines.line()));
    }

    void undo(const Change& change, std::vector<std::string>& left)
    {
        try {
            if (change.of_a_guest) undo_config(change);
            if (change.kind == Change::Kind::file && !change.of_a_guest) put_file(change, change.before);
            if (change.kind == Change::Kind::link) put_link(change, change.before);
            if (change.kind == Change::Kind::program && !change.undo.empty())
                run(change.undo, "", change.rebuilds());
            if (change.kind == Change::Kind::instance)
                put_instance_text(system_, change.instance, change.socket, *change.after, *change.before);
        } catch (const Error& error) {
            left.push_back(describe_undo(change) + ": " + error.what());
        }
    }

    // Lost output is no reason to undo what succeeded.
    void keep_output()
    {
        if (output_.empty()) return;
        try {
            system_.replace_file(std::string(paths::install_log), output_);
        } catch (const Error& error) {
            system_.say(Severity::warning, std::string("the programs' output is lost: ") + error.what());
        }
    }

    System& system_;
    Console& console_;
    bool programs_run_;
    std::vector<const Change*> begun_;
    std::size_t finished_ = 0; // of those that were begun
    std::string output_;
};

void remove_directories(System& system, const std::vector<std::string>& made,
                        const std::vector<std::string>& kept)
{
    std::for_each(made.rbegin(), made.rend(), [&](const std::string& path) {
        if (!contains(kept, path)) system.remove_empty_directory(path);
    });
}

// Of a file that is ours and is changed again: until that is done it is what it was.
void note_earlier(Manifest& manifest, const Manifest& before, const Change& change)
{
    const auto* known = before.find(change.path);
    if (known == nullptr || !change.is_in_file_system() || !known->is_ours(change.before)) return;
    for (auto& entry : manifest.entries)
        if (entry.path == change.path) entry.earlier = change.before;
}

// While changes are being made: what a run that is killed half-way leaves behind can be undone from it.
Manifest together(const Manifest& before, const Manifest& after, const std::vector<Change>& changes)
{
    Manifest both = after;
    for (const auto& change : changes) note_earlier(both, before, change);
    for (const auto& entry : before.entries)
        if (after.find(entry.path) == nullptr) both.entries.push_back(entry);
    for (const auto& guest : before.attachments)
        if (after.attachment(guest.vmid) == nullptr) both.attachments.push_back(guest);
    for (const auto& one : before.instances)
        if (after.find(one.name) == nullptr) both.instances.push_back(one);
    return both;
}

// Undoing goes on whatever of it fails, and the first failure is what the administrator is told.
[[noreturn]] void undo_and_throw(System& system, Console& console, Applier& applier, const Manifest& before,
                                 const Manifest& after, const Manifest& meanwhile, const Error& error)
{
    const bool stopped = error.reason() == ErrorKind::interrupted;
    if (stopped) console.progress("stopped; what was done is undone now ...");
    auto left = applier.undo_all();
    try {
        remove_directories(system, after.directories, before.directories);
        if (left.empty()) write_manifest(system, before, meanwhile);
    } catch (const Error& second) {
        left.emplace_back(second.what());
    }
    for (const auto& what : left) system.say(Severity::error, "not undone: " + what);
    throw Error(error.reason(),
                left.empty()
                    ? Advice{error.advice().fact + "; nothing is changed: what had been done was undone",
                             error.advice().remedy}
                    : Advice{error.advice().fact + "; not everything could be undone, see above",
                             "'pve-gpu-install uninstall' tries again"});
}

} // namespace

void apply(System& system, Console& console, const std::vector<Change>& changes, const Manifest& before,
           Manifest after, bool programs_run)
{
    Applier applier(system, console, programs_run);
    for (auto& path : applier.missing_directories(changes)) after.directories.push_back(std::move(path));
    const auto meanwhile = together(before, after, changes);
    try {
        if (!after.empty()) write_manifest(system, meanwhile, {});
        applier.make_all(changes);
    } catch (const Error& error) {
        undo_and_throw(system, console, applier, before, after, meanwhile, error);
    }
    if (after.empty()) remove_directories(system, before.directories, {});
    write_manifest(system, after, meanwhile);
}

} // namespace pvegpu
