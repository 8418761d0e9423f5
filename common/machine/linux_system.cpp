#include "machine/linux_system.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/locked_file.hpp"
#include "machine/messages.hpp"
#include "machine/new_file.hpp"
#include "machine/run_program.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

namespace pvegpu {
namespace {

// How soon a fact is seen after it has come true, against how often sysfs is asked. A reset takes 100 ms at
// least, so this delays nothing that anyone notices.
constexpr Milliseconds look_again_after{5};

// A guardian only notes what it is told, so it answers at once; if it does not, it is of no use.
constexpr Milliseconds guardian_answer_timeout{1000};

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

[[noreturn]] void throw_stopped()
{
    throw Error(Reason::interrupted, {"the task was stopped", "start the guest again"});
}

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
                    {"the child process that was at work here was killed", "start the guest again"},
                    root_.follow(path));
    if (!stopped()) return outcome;
    if (child->answers_within(ends_after_a_stop)) throw_stopped();
    throw Error(looks_only(task) ? Reason::interrupted : Reason::stuck_write,
                {"the task was stopped while the kernel had not come back from this (pid " +
                     std::to_string(outcome.child) + ", in: " + outcome.child_stack + ")",
                 "start the guest again when that process has ended"},
                root_.follow(path));
}

Outcome LinuxSystem::read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const
{
    return in_child(BoundedChild::Task::read, path, "", bytes, timeout);
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
                {"the child process that guards this setting does not answer", "start the guest again"},
                root_.follow(path), noted.error_number);
}

void LinuxSystem::forget_guarded_writes()
{
    if (!guardian_) return;
    const auto forgotten =
        guardian_->perform(BoundedChild::Task::forget_guarded, "", "", 0, guardian_answer_timeout, -1);
    if (!forgotten.done()) guardian_.reset(); // dead, or it writes once more what is already so
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
    if (file < 0) throw Error(Reason::failed, {"cannot open the lock"}, root_.keep(path), errno);
    locks_.push_back(file);
    const auto taken = [&] {
        if (flock(file, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw Error(Reason::failed, {"cannot take the lock"}, root_.keep(path), errno);
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
    if (stopped()) throw_stopped();
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
