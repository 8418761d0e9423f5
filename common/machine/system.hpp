// The one door to the machine. What takes a SysReader can only look; what takes a System may change things.
//
// Every path is absolute as on a live host ("/sys/...", "/etc/pve/..."); an implementation puts its root
// before it. "Absent" is an answer, not an error.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace pvegpu {

using Milliseconds = std::chrono::milliseconds;
using TimePoint = std::chrono::steady_clock::time_point;

inline std::string in_seconds(Milliseconds time) // "120 s"
{
    return std::to_string(time.count() / 1000) + " s";
}

struct DeviceNumber {
    unsigned major = 0;
    unsigned minor = 0;
    bool block = false;

    auto operator<=>(const DeviceNumber&) const = default;
};
inline std::string to_string(const DeviceNumber& number) // "195:0"
{
    return std::to_string(number.major) + ":" + std::to_string(number.minor);
}

// Of what a path stands for, links followed.
struct FileFacts {
    bool regular = false;
    uid_t owner = 0;
    gid_t group = 0;
    mode_t mode = 0;     // permission bits, set-id bits included
    DeviceNumber device; // that its file system is on; with the inode it tells whether two paths are one file
    std::uint64_t inode = 0;
    std::uint64_t size = 0; // bytes; of a directory whatever its file system makes of it
    unsigned links = 0;     // names that it has; of a directory whatever its file system makes of it

    bool same_file(const FileFacts& other) const { return device == other.device && inode == other.inode; }
};

// How an operation ended that the kernel may never finish. It ran in a child of its own.
struct SysResult {
    enum class Kind { done, refused, still_running };

    Kind kind = Kind::done;
    int error_number = 0;     // of a refusal: the errno of the failed call
    std::string text;         // what a read brought
    pid_t child = 0;          // of a child that is still running: its pid,
    std::string child_stack;  // and where in the kernel it is blocked, as far as that can be read
    Milliseconds took{0};     // of what was done or refused: how long the kernel was at it
    bool only_listed = false; // of a dry run, or below '--root': nothing was done

    bool done() const { return kind == Kind::done; }
    bool refused() const { return kind == Kind::refused; }
    bool still_running() const { return kind == Kind::still_running; }
};

class SysReader {
public:
    SysReader() = default;
    SysReader(const SysReader&) = delete;
    SysReader& operator=(const SysReader&) = delete;
    virtual ~SysReader() = default;

    // The text of a small file whose reading cannot block; nothing if it is absent or unreadable.
    virtual std::optional<std::string> read(const std::string& path) const = 0;

    // Where a symbolic link points, as written in it; nothing if there is no such link.
    virtual std::optional<std::string> read_link(const std::string& path) const = 0;

    // The names in a directory, sorted; empty if it is absent.
    virtual std::vector<std::string> list(const std::string& path) const = 0;

    // The same, directories only; a link to one is none.
    virtual std::vector<std::string> list_directories(const std::string& path) const = 0;

    virtual bool exists(const std::string& path) const = 0;

    // The device that a path, links followed, stands for; nothing if it is not a device node. Does not
    // wait for a network or FUSE file system to answer.
    virtual std::optional<DeviceNumber> device_number(const std::string& path) const = 0;

    // The files in a directory that stand for a device, and which; in no order. The same as asking for each
    // name of it. For /proc/PID/fd of thousands of processes the live system asks from inside the directory.
    struct NamedDevice {
        std::string name;
        DeviceNumber number;
    };
    virtual std::vector<NamedDevice> device_numbers_in(const std::string& directory) const
    {
        std::vector<NamedDevice> devices;
        std::string path = directory + '/';
        const auto length = path.size();
        for (const auto& name : list(directory)) {
            path.resize(length);
            path += name;
            if (const auto number = device_number(path)) devices.push_back({name, *number});
        }
        return devices;
    }

    // Nothing if there is no such file, or its link leads nowhere. A network or FUSE file system is not asked
    // about the file, but it may be about the way to it: for a path of one ask read_within first.
    virtual std::optional<FileFacts> file_facts(const std::string& path) const = 0;

    // Reads up to `bytes` of a file that may block for ever (PCI config space, /etc/pve). A missing file is
    // a refusal with ENOENT.
    virtual SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const = 0;

    // The records of a log that are there now, one read(2) each, for /dev/kmsg: it never waits for one more,
    // and goes on behind those that were overwritten meanwhile. The last `bytes` of them, and none that came
    // later than the timeout. Nothing if it is absent or may not be read.
    virtual std::optional<std::string> read_records(const std::string& path, std::size_t bytes,
                                                    Milliseconds timeout) const = 0;

    // What a directory holds for the process whose root `root` is ("/proc/4711/root"): a line "c 195:0
    // nvidia0" for each name that begins with `prefix`, as list_inside.hpp reads them. That process may be
    // hostile: links are followed inside of its root only, and nothing but directories is opened. It may take
    // for ever (the process may serve the directory itself, by FUSE). No such directory: refused with ENOENT.
    virtual SysResult list_inside(const std::string& root, const std::string& directory,
                                  const std::string& prefix, Milliseconds timeout) const = 0;

    // Whether a block device could be claimed for exclusive use: refused with EBUSY when a file system, a
    // RAID, a ZFS pool or another program has claimed it.
    virtual SysResult try_claim_within(const std::string& path, Milliseconds timeout) const = 0;

    // Asks a daemon on a unix socket something that changes nothing: `text` goes there, and what comes back
    // until the other side closes is the answer, up to `bytes`. Refused with ENOENT, ECONNREFUSED or EACCES
    // where nobody can be asked, with EMSGSIZE for a longer answer; still running, without a child, where it
    // is not complete at the timeout: the daemon may be at it yet. A machine in memory has no daemon.
    virtual SysResult ask(const std::string& /*socket*/, std::string_view /*text*/, std::size_t /*bytes*/,
                          Milliseconds /*timeout*/) const
    {
        return {SysResult::Kind::refused, ENOENT, "", 0, ""};
    }

    virtual std::int64_t wall_clock() const = 0; // seconds since 1970
};

enum class Severity { info, warning, error };

class System : public SysReader {
public:
    // One write(2) of `text` to a file of /sys or /proc. `done` proves only that the kernel took it: look
    // afterwards.
    virtual SysResult write(const std::string& path, std::string_view text, Milliseconds timeout) = 0;

    // Sets the secondary bus reset bit in a bridge's config space file, holds it, clears it: all in one
    // child, which clears it even if this process is killed meanwhile.
    virtual SysResult pulse_secondary_bus_reset(const std::string& config_path, Milliseconds hold,
                                                Milliseconds timeout) = 0;

    // Clears that bit where it is set; what is below the bridge is not reset by this.
    virtual SysResult clear_secondary_bus_reset(const std::string& config_path, Milliseconds timeout) = 0;

    // A guardian child writes `text` to `path` if this process ends before `forget_guarded_writes`.
    virtual void guard_write(const std::string& path, std::string_view text) = 0;
    virtual void forget_guarded_writes() = 0;

    // Files of our own (/run/pve-gpu-hook, the installer's files): replaced whole or not at all, directories
    // above made as needed with mode 0700. Throw Error.
    virtual void replace_file(const std::string& path, std::string_view text) = 0;
    virtual void remove_file(const std::string& path) = 0;

    // A file that somebody else may make at the same time: it is there with its whole text at once, mode
    // 0600. False if one is there, which stays as it is. The directory has to be there. Throws Error.
    virtual bool create_file(const std::string& path, std::string_view text) = 0;

    // Files of the administrator's, for others to read: replaced whole or not at all, and on the disk when
    // this returns. One that exists keeps its owner and mode; directories above are made with mode 0755. A
    // symbolic link in the file's place is refused, not replaced. Throw Error.
    virtual void install_file(const std::string& path, std::string_view text, mode_t mode_if_new) = 0;
    virtual void make_link(const std::string& path, const std::string& target) = 0; // nothing may be there
    // A file or link takes another's name, in place of what is there: at no moment is there none.
    virtual void move_file(const std::string& from, const std::string& to) = 0;
    virtual void remove_empty_directory(const std::string& path) = 0; // one that is in use stays

    // A file that others change too, and that may be on a file system that never answers (/etc/pve): replaced
    // whole, with its owner and mode, while their lock of it is held. Refused with EWOULDBLOCK if the lock
    // does not become free in half of the time, with ESTALE if `before` is not what is there.
    virtual SysResult replace_locked(const std::string& path, const std::string& lock,
                                     std::string_view before, std::string_view after,
                                     Milliseconds timeout) = 0;

    // Takes the lock of that file until the process ends. False if somebody else keeps it past the timeout.
    virtual bool lock(const std::string& path, Milliseconds timeout) = 0;

    // Runs a program by argument vector with closed standard input, no shell; `text` is what it printed.
    // `refused` carries the exit status in error_number, or the errno if it could not be started.
    // `on_line`, where there is one, is told each line as soon as it is whole.
    using OnLine = std::function<void(std::string_view)>;
    virtual SysResult run(const std::vector<std::string>& arguments, Milliseconds timeout,
                          const OnLine& on_line) = 0;
    SysResult run(const std::vector<std::string>& arguments, Milliseconds timeout)
    {
        return run(arguments, timeout, {});
    }

    // Runs the jobs, up to `at_once` of them side by side: while one waits for the kernel or for time to
    // pass, another goes on. No two run in the same moment, so what they share needs no lock. None may throw.
    // Returns when all have ended. Here, as in every system but the live one: one after the other.
    using Job = std::function<void()>;
    virtual void run_together(const std::vector<Job>& jobs, unsigned /*at_once*/)
    {
        for (const auto& job : jobs) job();
    }

    // As `ask`, of something that changes what the daemon has.
    virtual SysResult tell(const std::string& socket, std::string_view text, std::size_t bytes,
                           Milliseconds timeout)
    {
        return ask(socket, text, bytes, timeout);
    }

    // Waits until `fact` holds, looking again every few milliseconds; false if it does not in time. Throws
    // Error(interrupted) when SIGTERM arrives.
    virtual bool wait_until(const std::function<bool()>& fact, Milliseconds timeout) = 0;

    virtual TimePoint now() const = 0;    // monotonic
    virtual pid_t parent_pid() const = 0; // as it was when this process began

    // One line for the administrator: standard error (Proxmox's task log) and syslog.
    virtual void say(Severity severity, std::string_view line) = 0;

    // A step that has just ended, for somebody who watches.
    virtual void show_step(const std::string& /*line*/) {}

    // What lines in syslog begin with from now on: "VM 101".
    virtual void log_for_guest(const std::string& /*name*/) {}
};

} // namespace pvegpu
