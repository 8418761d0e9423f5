// One thing that the installer does, with its reason and its inverse.
#pragma once

#include "base/instance_name.hpp"
#include "proxmox/guest.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct Instance; // incus/instance.hpp

// What a program does to a guest. Proxmox can have made the change and still end with an error, and the other
// way round: so the guest's config is looked at.
struct GuestSetting {
    Guest guest;
    std::string before; // empty: none
    std::string after;
    std::string key = "hookscript"; // or "args", for the guest's next start
};

struct Change {
    enum class Kind { file, link, program, instance };

    Kind kind = Kind::file;
    std::string path;                  // of a file or a link
    std::optional<std::string> before; // a file's text, or where a link pointed; nothing: it was not there
    std::optional<std::string> after;  // the same; nothing: it is removed
    bool for_root_only = false;        // a file of our own state
    bool of_a_guest = false;           // its configuration: what is undone of it, detaching the guest undoes
    std::string lock;                  // of that configuration: Proxmox's own
    InstanceName instance = {};    // of Incus or LXD, whose devices are changed: `path` is how it is shown,
    std::string socket = {};       // of its daemon; `before` and `after` as instance_text has them
    std::vector<std::string> argv; // of a program
    std::vector<std::string> undo; // the program that takes it back; empty: there is nothing to take back
    std::optional<GuestSetting> setting; // of a program that changes one
    std::string reason;                  // "so that ...", "because ..."
    std::string hint;                    // what to do if it fails

    bool is_in_file_system() const { return kind == Kind::file || kind == Kind::link; }

    // A program that makes something out of files, not one that changes a guest: it is its own inverse, once
    // the files are as they were.
    bool rebuilds() const { return kind == Kind::program && undo == argv; }
};

Change file_change(std::string path, std::optional<std::string> before, std::optional<std::string> after,
                   std::string reason);
// `qm set` or `pct set`, with its inverse.
Change setting_change(GuestSetting what, std::string reason);
// By the API of its daemon.
Change instance_change(const Instance& instance, std::string after, std::string reason);
Change link_change(std::string path, std::optional<std::string> before, std::optional<std::string> after,
                   std::string reason);

Change inverse(Change change);

std::string describe(const Change& change);      // "write '/etc/x'", "run 'qm set 101 ...'"
std::string describe_undo(const Change& change); // "remove '/etc/x'"

} // namespace pvegpu
