#include "machine/linux_system.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/converse.hpp"
#include "machine/new_file.hpp"
#include "machine/paths.hpp"
#include "machine/run_program.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <system_error>
#include <thread>
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

int priority(Severity severity)
{
    if (severity == Severity::error) return LOG_ERR;
    return severity == Severity::warning ? LOG_WARNING : LOG_INFO;
}

// Proxmox reads what we say at once. Somebody else who has stopped reading must not stop us: a message lost
// is better than a start that hangs.
constexpr int reader_takes_within_milliseconds = 1000;

// A pipe that is ready takes PIPE_BUF bytes without blocking.
void write_or_drop(int file, std::string_view text)
{
    while (!text.empty()) {
        pollfd wait{file, POLLOUT, 0};
        if (poll(&wait, 1, reader_takes_within_milliseconds) <= 0) return;
        const ssize_t written = ::write(file, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
        if (written < 0 && errno != EINTR && errno != EAGAIN) return;
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
}

// `priority` is a facility and a severity, `tag` a name with a pid. By hand, since syslog(3) blocks while the
// socket is full.
void tell_syslog(const std::string& socket_path, int priority, const std::string& tag,
                 const std::string& line)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) return;
    std::ranges::copy(socket_path, std::begin(address.sun_path));
    const int channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (channel < 0) return;
    const std::string message = "<" + std::to_string(priority) + ">" + tag + ": " + line;
    // NOLINTNEXTLINE(*-reinterpret-cast): the socket interface's own way
    const auto* const where = reinterpret_cast<const sockaddr*>(&address);
    sendto(channel, message.data(), message.size(), MSG_NOSIGNAL, where, sizeof address);
    close(channel);
}

// A write that was going on when the task was stopped: most end within this, and then all can be undone
// before Proxmox, which waits 5 s, sends SIGKILL.
constexpr Milliseconds ends_after_a_stop{1'000};

} // namespace

LinuxSystem::LinuxSystem(std::string program, const std::string& root, std::string when_stopped)
    : program_(std::move(program)), when_stopped_(std::move(when_stopped)), root_(root),
      signals_(open_signals())
{
}

void LinuxSystem::throw_stopped() const
{
    throw Error(ErrorKind::interrupted, {"the task was stopped", when_stopped_});
}

LinuxSystem::~LinuxSystem()
{
    guardian_.reset(); // told before the lock is free, so that it does not write into the next run's work
    for (const int file : locks_) close(file);
    close(signals_);
}

// `wait` looks at nothing that jobs share, and does not throw.
template <typename Wait> auto LinuxSystem::while_others_go_on(Wait wait) const
{
    if (!side_by_side_) return wait();
    turn_.unlock();
    auto result = wait();
    turn_.lock();
    return result;
}

SysResult LinuxSystem::in_child(Task::Kind kind, const std::string& path, std::string text,
                                std::uint64_t number, Milliseconds timeout) const
{
    check_signals(); // nothing is begun after SIGTERM
    std::erase_if(idle_, [](const auto& one) { return one->ended(); });
    if (idle_.empty()) idle_.push_back(std::make_unique<BoundedChild>());
    auto child = std::move(idle_.back());
    idle_.pop_back();
    const Task task{kind, number, root_.resolve(path), std::move(text)};
    const int cancel = interrupted_ ? -1 : signals_;
    SysResult outcome = while_others_go_on([&] { return child->perform(task, timeout, cancel); });
    if (outcome.child == 0) {
        idle_.push_back(std::move(child));
        return outcome;
    } // stuck or dead: the next operation gets another one
    if (outcome.refused())
        throw Error(ErrorKind::failed, {"the child process that was at work here was killed", when_stopped_},
                    root_.resolve(path));
    if (cancel < 0 || !stopped()) return outcome;
    if (while_others_go_on([&] { return child->answers_within(ends_after_a_stop); })) throw_stopped();
    // Of these nothing is left undone in the kernel when they are given up.
    const bool looks_only =
        kind == Task::Kind::read || kind == Task::Kind::list_ipv4 || kind == Task::Kind::list_inside;
    throw Error(looks_only ? ErrorKind::interrupted : ErrorKind::stuck_write,
                {"the task was stopped while the kernel had not come back from this (pid " +
                     std::to_string(outcome.child) + ", in: " + outcome.child_stack + ")",
                 when_stopped_ + " when that process has ended"},
                root_.resolve(path));
}

SysResult LinuxSystem::read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const
{
    if (path == paths::ipv4_interfaces && root_.is_live_host())
        return in_child(Task::Kind::list_ipv4, path, "", 0, timeout);
    return in_child(Task::Kind::read, path, "", bytes, timeout);
}

SysResult LinuxSystem::list_inside(const std::string& root, const std::string& directory,
                                   const std::string& prefix, Milliseconds timeout) const
{
    return in_child(Task::Kind::list_inside, root, directory + '\n' + prefix, 0, timeout);
}

SysResult LinuxSystem::try_claim_within(const std::string& path, Milliseconds timeout) const
{
    return in_child(Task::Kind::claim, path, "", 0, timeout);
}

SysResult LinuxSystem::ask(const std::string& socket, std::string_view text, std::size_t bytes,
                           Milliseconds timeout) const
{
    check_signals();
    const auto path = root_.resolve(socket);
    const int cancel = interrupted_ ? -1 : signals_;
    auto answer = while_others_go_on([&] { return converse(path, text, bytes, timeout, cancel); });
    if (answer.still_running()) check_signals();
    return answer;
}

SysResult LinuxSystem::write(const std::string& path, std::string_view text, Milliseconds timeout)
{
    return in_child(Task::Kind::write, path, std::string(text), 0, timeout);
}

SysResult LinuxSystem::pulse_secondary_bus_reset(const std::string& config_path, Milliseconds hold,
                                                 Milliseconds timeout)
{
    return in_child(Task::Kind::pulse_bridge_control, config_path, "",
                    static_cast<std::uint64_t>(hold.count()), timeout);
}

SysResult LinuxSystem::clear_secondary_bus_reset(const std::string& config_path, Milliseconds timeout)
{
    return in_child(Task::Kind::clear_bridge_control, config_path, "", 0, timeout);
}

void LinuxSystem::guard_write(const std::string& path, std::string_view text)
{
    if (!guardian_) guardian_ = std::make_unique<BoundedChild>();
    const auto noted = guardian_->perform({Task::Kind::guard, 0, root_.resolve(path), std::string(text)},
                                          guardian_answer_timeout, -1);
    if (noted.done()) return;
    guardian_.reset();
    throw Error(ErrorKind::failed,
                {"the child process that guards this setting does not answer", "start the guest again"},
                root_.resolve(path), noted.error_number);
}

void LinuxSystem::forget_guarded_writes()
{
    if (!guardian_) return;
    const auto forgotten =
        guardian_->perform({Task::Kind::forget_guarded, 0, "", ""}, guardian_answer_timeout, -1);
    if (!forgotten.done()) guardian_.reset(); // dead, or it writes once more what is already so
}

SysResult LinuxSystem::replace_locked(const std::string& path, const std::string& lock,
                                      std::string_view before, std::string_view after, Milliseconds timeout)
{
    make_directories_for(root_.resolve_nofollow(lock), mode_for_all); // Proxmox's programs make it too
    const LockedReplacement replacement{root_.resolve_nofollow(lock), std::string(before),
                                        std::string(after)};
    return in_child(Task::Kind::replace_locked, path, pack(replacement),
                    static_cast<std::uint64_t>((timeout / 2).count()), timeout);
}

bool LinuxSystem::lock(const std::string& path, Milliseconds timeout)
{
    make_directories_for(root_.resolve_nofollow(path), S_IRWXU);
    require_private_directories(root_, path);
    const int file = open(root_.resolve_nofollow(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                          S_IRUSR | S_IWUSR);
    if (file < 0)
        throw Error(ErrorKind::failed, {"cannot open the lock"}, root_.resolve_nofollow(path), errno);
    locks_.push_back(file);
    const auto taken = [&] {
        if (flock(file, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw Error(ErrorKind::failed, {"cannot take the lock"}, root_.resolve_nofollow(path), errno);
        return false;
    };
    return wait_until(taken, timeout);
}

SysResult LinuxSystem::run(const std::vector<std::string>& arguments, Milliseconds timeout,
                           const OnLine& on_line)
{
    if (!root_.is_live_host())
        return {SysResult::Kind::refused, ENOSYS, "", 0, ""}; // a tree of files runs nothing
    check_signals();
    SysResult outcome = run_program(arguments, timeout, interrupted_ ? -1 : signals_, on_line);
    if (outcome.still_running()) check_signals();
    return outcome;
}

bool LinuxSystem::stopped() const
{
    signalfd_siginfo signal{};
    if (interrupted_ && side_by_side_) return true; // each of them is to end
    if (interrupted_ || ::read(signals_, &signal, sizeof signal) != sizeof signal) return false;
    interrupted_ = true;
    return true;
}

void LinuxSystem::check_signals() const
{
    if (stopped()) throw_stopped();
}

// Threads, of which one goes on at a time. This one is among them: without another it does all the jobs.
void LinuxSystem::run_together(const std::vector<Job>& jobs, unsigned at_once)
{
    const auto number = std::min<std::size_t>(at_once, jobs.size());
    if (number < 2) return System::run_together(jobs, at_once);
    std::size_t next = 0;
    const auto work = [&] {
        const std::lock_guard turn(turn_);
        while (next < jobs.size()) jobs.at(next++)();
    };
    side_by_side_ = true;
    std::vector<std::thread> threads;
    try {
        for (std::size_t i = 1; i < number; ++i) threads.emplace_back(work);
    } catch (const std::system_error&) { // no more threads: fewer will do
    }
    work();
    for (auto& thread : threads) thread.join();
    side_by_side_ = false;
    if (!idle_.empty()) idle_.resize(1);
}

bool LinuxSystem::wait_until(const std::function<bool()>& fact, Milliseconds timeout)
{
    const TimePoint deadline = now() + timeout;
    for (;;) {
        if (fact()) return true;
        if (now() >= deadline) return false;
        pollfd wait{interrupted_ ? -1 : signals_, POLLIN, 0};
        while_others_go_on([&] { return poll(&wait, 1, static_cast<int>(look_again_after.count())); });
        check_signals();
    }
}

void LinuxSystem::say(Severity severity, std::string_view line)
{
    const std::string text = printable(line);
    write_or_drop(STDERR_FILENO, program_ + ": " + text + "\n");
    const std::string tag = program_ + "[" + std::to_string(getpid()) + "]";
    if (!guest_.empty())
        tell_syslog(root_.resolve("/dev/log"), LOG_DAEMON | priority(severity), tag, guest_ + text);
}

} // namespace pvegpu
