#include "linux_system.hpp"

#include "descriptors.hpp"
#include "error.hpp"
#include "locked_file.hpp"
#include "messages.hpp"
#include "new_file.hpp"
#include "run_program.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

namespace pvegpu {
namespace {

namespace fs = boost::filesystem;

// How soon a fact is seen after it has come true, against how often sysfs is asked. A reset takes 100 ms at
// least, so this delays nothing that anyone notices.
constexpr Milliseconds look_again_after{5};

// A guardian only notes what it is told, so it answers at once; if it does not, it is of no use.
constexpr Milliseconds guardian_answer_timeout{1000};

// No file that is read whole comes near it: a link to an endless device does not fill the memory.
constexpr std::size_t largest_file = 16U << 20U;

// Our own messages and channels must not become somebody's standard error: a caller may have closed it.
void occupy_standard_descriptors()
{
    int file = 0;
    while (file >= 0 && file <= STDERR_FILENO) file = open("/dev/null", O_RDWR);
    if (file >= 0) close(file);
}

int open_signals()
{
    occupy_standard_descriptors();
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
    sigprocmask(SIG_SETMASK, &signals, nullptr);
    // A parent may have left these in any state; waiting for children needs the default of the first, and
    // a reader that went away is no reason to die half-way.
    std::signal(SIGCHLD, SIG_DFL);
    std::signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool becomes_readable(int descriptor, Milliseconds timeout)
{
    pollfd wait{descriptor, POLLIN, 0};
    return poll(&wait, 1, static_cast<int>(timeout.count())) > 0;
}

int priority(Severity severity)
{
    switch (severity) {
    case Severity::error:
        return LOG_ERR;
    case Severity::warning:
        return LOG_WARNING;
    case Severity::info:
        break;
    }
    return LOG_INFO;
}

template <typename Wanted> std::vector<std::string> names_in(const std::string& path, Wanted wanted)
{
    std::vector<std::string> names;
    boost::system::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
        if (wanted(*entry)) names.push_back(entry->path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

constexpr const char* stopped_text = "the task was stopped; start the guest again";

// A write that was going on when the task was stopped: most end within this, and then all can be undone
// before Proxmox, which waits 5 s, sends SIGKILL.
constexpr Milliseconds ends_after_a_stop{1'000};

// Of these nothing is left undone in the kernel when they are given up.
bool looks_only(BoundedChild::Task task)
{
    return task == BoundedChild::Task::read || task == BoundedChild::Task::list_inside;
}

} // namespace

LinuxSystem::LinuxSystem(std::string program, const std::string& root)
    : program_(std::move(program)), root_(root), signals_(open_signals())
{
}

LinuxSystem::~LinuxSystem()
{
    guardian_.reset(); // told before the lock is free, so that it does not write into the next run's work
    for (const int file : locks_) close(file);
    close(signals_);
}

std::optional<std::string> LinuxSystem::read(const std::string& path) const
{
    require_private_directories(root_, path);
    const int file = open(root_.follow(path).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0) return std::nullopt;
    std::string text;
    std::array<char, 4096> buffer; // NOLINT(*-member-init): filled by read
    ssize_t count = 0;
    while (text.size() <= largest_file && (count = ::read(file, buffer.data(), buffer.size())) > 0)
        text.append(buffer.data(), static_cast<std::size_t>(count));
    close(file);
    if (count < 0 || text.size() > largest_file) return std::nullopt;
    return text;
}

std::optional<std::string> LinuxSystem::read_link(const std::string& path) const
{
    std::array<char, 4096> buffer; // NOLINT(*-member-init): filled by readlink
    const ssize_t count = readlink(root_.keep(path).c_str(), buffer.data(), buffer.size());
    if (count < 0) return std::nullopt;
    return std::string(buffer.data(), static_cast<std::size_t>(count));
}

std::vector<std::string> LinuxSystem::list(const std::string& path) const
{
    return names_in(root_.follow(path), [](const fs::directory_entry&) { return true; });
}

std::vector<std::string> LinuxSystem::list_directories(const std::string& path) const
{
    // The kind comes with the name (d_type), so this asks the kernel no more than list() does.
    return names_in(root_.follow(path), [](const fs::directory_entry& entry) {
        boost::system::error_code error;
        return entry.symlink_status(error).type() == fs::directory_file;
    });
}

bool LinuxSystem::exists(const std::string& path) const
{
    return access(root_.follow(path).c_str(), F_OK) == 0;
}

std::optional<DeviceNumber> LinuxSystem::device_number(const std::string& path) const
{
    struct statx facts {};
    constexpr int without_asking_a_server = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (statx(AT_FDCWD, root_.follow(path).c_str(), without_asking_a_server, STATX_TYPE, &facts) != 0)
        return std::nullopt;
    if (!S_ISCHR(facts.stx_mode) && !S_ISBLK(facts.stx_mode)) return std::nullopt;
    return DeviceNumber{facts.stx_rdev_major, facts.stx_rdev_minor, S_ISBLK(facts.stx_mode)};
}

std::optional<FileFacts> LinuxSystem::file_facts(const std::string& path) const
{
    struct statx facts {};
    constexpr int without_asking_a_server = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (statx(AT_FDCWD, root_.follow(path).c_str(), without_asking_a_server, STATX_BASIC_STATS, &facts) != 0)
        return std::nullopt;
    return FileFacts{S_ISREG(facts.stx_mode),
                     facts.stx_uid,
                     facts.stx_gid,
                     static_cast<mode_t>(facts.stx_mode & ~static_cast<mode_t>(S_IFMT)),
                     {facts.stx_dev_major, facts.stx_dev_minor, true},
                     facts.stx_ino,
                     facts.stx_size};
}

Outcome LinuxSystem::in_child(BoundedChild::Task task, const std::string& path, std::string_view text,
                              std::uint64_t number, Milliseconds timeout) const
{
    check_signals(); // nothing is begun after SIGTERM
    if (!child_ || child_->ended()) child_ = std::make_unique<BoundedChild>();
    Outcome outcome =
        child_->perform(task, root_.follow(path), text, number, timeout, interrupted_ ? -1 : signals_);
    if (outcome.child == 0) return outcome;
    const auto child = std::move(child_); // stuck or dead: the next operation gets a new one
    if (outcome.refused())
        throw Error(Reason::failed,
                    "the child process that was at work here was killed; start the guest again",
                    root_.follow(path));
    if (!stopped()) return outcome;
    if (child->answers_within(ends_after_a_stop)) throw Error(Reason::interrupted, stopped_text);
    throw Error(looks_only(task) ? Reason::interrupted : Reason::stuck_write,
                "the task was stopped while the kernel had not come back from this (pid " +
                    std::to_string(outcome.child) + ", in: " + outcome.child_stack +
                    "); start the guest again when that process has ended",
                root_.follow(path));
}

Outcome LinuxSystem::read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const
{
    return in_child(BoundedChild::Task::read, path, "", bytes, timeout);
}

// /dev/kmsg (the kernel's Documentation/ABI/testing/dev-kmsg): a record each read, EAGAIN behind the last,
// EPIPE where records were overwritten, EINVAL if the buffer is smaller than a record.
std::optional<std::string> LinuxSystem::read_records(const std::string& path, std::size_t bytes,
                                                     Milliseconds timeout) const
{
    const Descriptor file(open(root_.follow(path).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.failed()) return std::nullopt;
    const auto deadline = now() + timeout;
    std::array<char, 16384> buffer; // twice the longest record; NOLINT(*-member-init): filled by read
    std::string text;
    while (now() < deadline) {
        const ssize_t count = ::read(file.number(), buffer.data(), buffer.size());
        if (count < 0 && (errno == EPIPE || errno == EINTR)) continue;
        if (count < 0 && errno != EAGAIN) return std::nullopt;
        if (count <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > 2 * bytes) text.erase(0, text.size() - bytes);
    }
    if (text.size() > bytes) text.erase(0, text.size() - bytes);
    return text;
}

Outcome LinuxSystem::list_inside(const std::string& root, const std::string& directory,
                                 const std::string& prefix, Milliseconds timeout) const
{
    return in_child(BoundedChild::Task::list_inside, root, directory + '\n' + prefix, 0, timeout);
}

Outcome LinuxSystem::try_claim_within(const std::string& path, Milliseconds timeout) const
{
    return in_child(BoundedChild::Task::claim, path, "", 0, timeout);
}

Outcome LinuxSystem::write(const std::string& path, std::string_view text, Milliseconds timeout)
{
    return in_child(BoundedChild::Task::write, path, text, 0, timeout);
}

Outcome LinuxSystem::pulse_secondary_bus_reset(const std::string& config_path, Milliseconds hold,
                                               Milliseconds timeout)
{
    return in_child(BoundedChild::Task::pulse_bridge_control, config_path, "",
                    static_cast<std::uint64_t>(hold.count()), timeout);
}

Outcome LinuxSystem::clear_secondary_bus_reset(const std::string& config_path, Milliseconds timeout)
{
    return in_child(BoundedChild::Task::clear_bridge_control, config_path, "", 0, timeout);
}

void LinuxSystem::guard_write(const std::string& path, std::string_view text)
{
    if (!guardian_) guardian_ = std::make_unique<BoundedChild>();
    const auto noted = guardian_->perform(BoundedChild::Task::guard, root_.follow(path), text, 0,
                                          guardian_answer_timeout, -1);
    if (noted.done()) return;
    guardian_.reset();
    throw Error(Reason::failed,
                "the child process that guards this setting does not answer; start the guest again",
                root_.follow(path), noted.error_number);
}

void LinuxSystem::forget_guarded_writes()
{
    if (!guardian_) return;
    const auto forgotten =
        guardian_->perform(BoundedChild::Task::forget_guarded, "", "", 0, guardian_answer_timeout, -1);
    if (!forgotten.done()) guardian_.reset(); // dead, or it writes once more what is already so
}

void LinuxSystem::replace_file(const std::string& path, std::string_view text)
{
    make_directories_for(root_.keep(path), S_IRWXU);
    require_private_directories(root_, path);
    put_file(root_.keep(path), text, {});
}

void LinuxSystem::install_file(const std::string& path, std::string_view text, mode_t mode_if_new)
{
    refuse_link(root_.keep(path));
    make_directories_for(root_.keep(path), mode_for_all);
    const auto old = file_facts(path);
    put_file(root_.keep(path), text,
             old ? FileRights{old->mode, old->owner, old->group}
                 : FileRights{mode_if_new, geteuid(), getegid()});
}

void LinuxSystem::make_link(const std::string& path, const std::string& target)
{
    make_directories_for(root_.keep(path), mode_for_all);
    if (symlink(target.c_str(), root_.keep(path).c_str()) != 0)
        throw Error(Reason::failed, "cannot make a symbolic link", root_.keep(path), errno);
    sync_directory_of(root_.keep(path));
}

void LinuxSystem::remove_file(const std::string& path)
{
    if (unlink(root_.keep(path).c_str()) != 0 && errno != ENOENT)
        throw Error(Reason::failed, "cannot remove a file", root_.keep(path), errno);
}

void LinuxSystem::move_file(const std::string& from, const std::string& to)
{
    if (rename(root_.keep(from).c_str(), root_.keep(to).c_str()) != 0)
        throw Error(Reason::failed, "cannot be given the name '" + to + "'", root_.keep(from), errno);
    sync_directory_of(root_.keep(to));
}

void LinuxSystem::remove_empty_directory(const std::string& path)
{
    const bool removed = rmdir(root_.keep(path).c_str()) == 0;
    // EBUSY: a file system is mounted there.
    if (!removed && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
        throw Error(Reason::failed, "cannot remove a directory", root_.keep(path), errno);
}

Outcome LinuxSystem::replace_locked(const std::string& path, const std::string& lock, std::string_view before,
                                    std::string_view after, Milliseconds timeout)
{
    make_directories_for(root_.keep(lock), mode_for_all); // Proxmox's programs make it too
    const LockedReplacement replacement{root_.keep(lock), std::string(before), std::string(after)};
    return in_child(BoundedChild::Task::replace_locked, path, pack(replacement),
                    static_cast<std::uint64_t>((timeout / 2).count()), timeout);
}

bool LinuxSystem::lock(const std::string& path, Milliseconds timeout)
{
    make_directories_for(root_.keep(path), S_IRWXU);
    require_private_directories(root_, path);
    const int file =
        open(root_.keep(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (file < 0) throw Error(Reason::failed, "cannot open the lock", root_.keep(path), errno);
    locks_.push_back(file);
    const auto taken = [&] {
        if (flock(file, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw Error(Reason::failed, "cannot take the lock", root_.keep(path), errno);
        return false;
    };
    return wait_until(taken, timeout);
}

Outcome LinuxSystem::run(const std::vector<std::string>& arguments, Milliseconds timeout)
{
    if (!root_.is_live_host())
        return {Outcome::Kind::refused, ENOSYS, "", 0, ""}; // a tree of files runs nothing
    check_signals();
    Outcome outcome = run_program(arguments, timeout, interrupted_ ? -1 : signals_);
    if (outcome.still_running()) check_signals();
    return outcome;
}

bool LinuxSystem::stopped() const
{
    signalfd_siginfo signal{};
    if (interrupted_ || ::read(signals_, &signal, sizeof signal) != sizeof signal) return false;
    interrupted_ = true;
    return true;
}

void LinuxSystem::check_signals() const
{
    if (stopped()) throw Error(Reason::interrupted, stopped_text);
}

bool LinuxSystem::wait_until(const std::function<bool()>& fact, Milliseconds timeout)
{
    const TimePoint deadline = now() + timeout;
    for (;;) {
        if (fact()) return true;
        if (now() >= deadline) return false;
        becomes_readable(interrupted_ ? -1 : signals_, look_again_after);
        check_signals();
    }
}

TimePoint LinuxSystem::now() const
{
    return std::chrono::steady_clock::now();
}

std::int64_t LinuxSystem::wall_clock() const
{
    return time(nullptr);
}

pid_t LinuxSystem::own_pid() const
{
    return getpid();
}

pid_t LinuxSystem::parent_pid() const
{
    return parent_;
}

void LinuxSystem::say(Severity severity, std::string_view line)
{
    const std::string text = printable(line);
    tell_reader(STDERR_FILENO, program_ + ": " + text + "\n");
    const std::string tag = program_ + "[" + std::to_string(getpid()) + "]";
    if (!guest_.empty())
        tell_syslog(root_.follow("/dev/log"), LOG_DAEMON | priority(severity), tag, guest_ + text);
}

} // namespace pvegpu
