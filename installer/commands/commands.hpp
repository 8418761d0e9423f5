// What pve-gpu-install can do. Each command returns its exit status; trouble is thrown as Error.
#pragma once

#include "base/instance_name.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "changes/install_plan.hpp"
#include "changes/terminal.hpp"
#include "machine/system.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct Change;   // changes/change.hpp
struct Manifest; // changes/manifest.hpp

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_reboot = 3; // done, but a reboot is needed

struct Options {
    std::vector<unsigned> vms = {};
    std::vector<unsigned> containers = {};
    std::vector<InstanceName> instances = {}; // VMs of Incus or LXD
    std::vector<unsigned> machines() const    // the numbers of all VMs
    {
        auto numbers = vms;
        for (const auto& name : instances) numbers.push_back(number_of(name));
        return numbers;
    }
    std::vector<unsigned> guests() const // of all of them
    {
        auto numbers = machines();
        append(numbers, containers);
        return numbers;
    }
    bool host = false;
    bool blacklist = false;
    bool dry_run = false;
    bool yes = false;
    bool reboot = false;
    bool json = false;

    // of 'check'
    std::string html = {};         // where the report goes; absolute
    std::string report = {};       // the same, as text
    std::string explain = {};      // a message that somebody pasted; "-": what standard input has
    std::string explain_file = {}; // a file of messages; absolute
    bool full = false;
    bool list = false;
    bool cluster = false; // which guests would start here

    // of 'install', for the containers
    std::vector<std::string> gpus = {}; // "0,1", "0000:01:00.0"
    bool replace_hard_coded = false;    // lines with device numbers, by devN
    std::vector<std::string> mig = {};  // "1/0,2"

    // of 'capture'
    std::optional<unsigned> guest = {};
    std::string output = {}; // the directory that is made; absolute

    // of 'install', for the VMs
    GuestReboot guest_reboot = GuestReboot::where_needed;
};

struct Session {
    System& system;
    Console& console;
    Options options;
    // The host lock lasts as long as a System: each recovery of `try` has one of its own.
    std::function<std::unique_ptr<System>()> another_system = {};
    bool programs_run = true; // not below `--root`
    Json document = {};       // the answer to '--json', as far as it is known
};

int overview(Session& session); // of somebody who has given no command: who has a GPU, and what can be done
int install(Session& session);
int detach(Session& session);
int uninstall(Session& session);
int status(Session& session);
int try_recovery(Session& session);
int start(Session& session);
int capture(Session& session);
int check(Session& session);
int verify(Session& session);

// For the maintainer scripts of the package, so that they need no logic of their own. The first never fails;
// the second does where a guest could not start any more, and the package then stays; the third where the
// host's files could not be taken back, and their notes then stay.
int package_configured(Session& session); // the links that the installer made lead to the hook again
int package_remove(Session& session);     // no guest is left without its hookscript, the host as it was
int package_purge(Session& session);      // what the removal had to leave is taken away once nothing needs it

// For those three: a damaged manifest is said and counts as none, for it must not keep a package on a host.
Manifest read_manifest_or_none(System& system);

// Shows the changes, asks, makes them. False if they were only shown, or not wanted.
bool carry_out(Session& session, const std::string& shown, const std::vector<Change>& changes,
               const Manifest& before, const Manifest& after);

// One change of the host at a time. Throws Error.
void take_install_lock(System& system);

// What each command that looks at guests begins with: one change of the host at a time, and guests that can
// be seen. Below `--root` there may be no more than their configurations. Throws Error.
void begin_change(Session& session);

} // namespace pvegpu
