#include "machine/run_program.hpp"

#include "base/error.hpp"
#include "machine/descriptors.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace pvegpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_output = 65536;

// Closed when a program is started, and when it goes out of scope.
class Pipe {
public:
    Pipe()
    {
        if (pipe2(ends_.data(), O_CLOEXEC) != 0)
            throw Error(ErrorKind::failed, {"cannot make a pipe"}, "", errno);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe()
    {
        close(ends_[0]);
        close_write_end();
    }
    int read_end() const { return ends_[0]; }
    int write_end() const { return ends_[1]; }
    void close_write_end()
    {
        if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
    }

private:
    std::array<int, 2> ends_{};
};

bool take_standard_descriptors(int output)
{
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
           dup2(output, STDERR_FILENO) >= 0;
}

// What a caller ignores is inherited: SIGHUP under nohup, 32 and 33 under GNU make 4.3 (its posix_spawn), and
// SIGPIPE is ignored by ourselves. The C library keeps 32 and 33 to itself, so the kernel is asked: its
// struct sigaction of amd64, with SIG_DFL in it, is four words of 0 (arch/x86/include/uapi/asm/signal.h); the
// last word is the mask, of 64 signals.
void ignore_nothing() noexcept
{
    constexpr std::array<unsigned long, 4> by_default{};
    constexpr int last = 64;
    for (int number = 1; number <= last; ++number) // SIGKILL and SIGSTOP are refused, and are never ignored
        syscall(SYS_rt_sigaction, number, by_default.data(), nullptr, sizeof by_default.back());
}

// Nothing of our own environment is passed on: it came from whoever called the hook. Proxmox's daemons have
// no HOME, and programs of the administrator's do not expect that. Our umask is stricter than programs expect
// that make files for others.
[[noreturn]] void become(const std::vector<std::string>& arguments, int output, int trouble) noexcept
{
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str())); // NOLINT
    argv.push_back(nullptr);
    std::array<const char*, 4> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root",
                                           nullptr};
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    ignore_nothing();
    umask(S_IWGRP | S_IWOTH);
    if (take_standard_descriptors(output) && close_descriptors(STDERR_FILENO + 1, trouble) && chdir("/") == 0)
        execve(argv[0], argv.data(), const_cast<char**>(environment.data())); // NOLINT
    const int error = errno;
    _exit(::write(trouble, &error, sizeof error) > 0 ? 1 : 2);
}

// False at the end of the output. What is over the limit is read all the same, or the program would block.
bool read_some(int output, std::string& text)
{
    std::array<char, 4096> buffer; // NOLINT(*-member-init): filled by read
    const ssize_t count = ::read(output, buffer.data(), buffer.size());
    if (count < 0) return errno == EINTR;
    text.append(buffer.data(), std::min(static_cast<std::size_t>(count), most_output - text.size()));
    return count > 0;
}

// What it has printed, told line by line.
struct Lines {
    const System::OnLine& on_line;
    std::string text = {};
    std::size_t told = 0;

    void tell_whole_ones()
    {
        for (auto end = text.find('\n', told); on_line && end != std::string::npos;
             end = text.find('\n', told)) {
            on_line(std::string_view(text).substr(told, end - told));
            told = end + 1;
        }
    }
    void tell_the_rest()
    {
        if (on_line && told < text.size()) on_line(std::string_view(text).substr(told));
    }
};

// Collects output until the program has ended; false if it did not in time. The end of its output is no end:
// it may close it early, and what it leaves behind may keep it open.
bool ends_in_time(int pidfd, int output, int cancel, TimePoint deadline, Lines& lines)
{
    for (;;) {
        const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
        std::array<pollfd, 3> waits{{{output, POLLIN, 0}, {pidfd, POLLIN, 0}, {cancel, POLLIN, 0}}};
        const int ready = poll(waits.data(), waits.size(), static_cast<int>(std::max<std::int64_t>(left, 0)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0 || left <= 0 || waits[2].revents != 0) return false;
        if (waits[0].revents != 0) {
            if (!read_some(output, lines.text)) output = -1;
            lines.tell_whole_ones();
        } else if (waits[1].revents != 0) {
            return true;
        }
    }
}

int exit_status(int pidfd)
{
    siginfo_t ended{};
    if (waitid(P_PIDFD, static_cast<id_t>(pidfd), &ended, WEXITED | WNOHANG) != 0) return errno;
    return ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status;
}

SysResult outcome_of_end(int pidfd, int trouble, std::string output)
{
    const int status = exit_status(pidfd);
    int error = 0; // that kept the program from starting
    if (::read(trouble, &error, sizeof error) != sizeof error) error = 0;
    const int number = error != 0 ? error : status;
    return {number == 0 ? SysResult::Kind::done : SysResult::Kind::refused, number, std::move(output), 0, ""};
}

} // namespace

SysResult run_program(const std::vector<std::string>& arguments, Milliseconds timeout, int cancel,
                      const System::OnLine& on_line)
{
    const TimePoint deadline = Clock::now() + timeout;
    Pipe output, trouble;
    const pid_t pid = fork();
    if (pid < 0) return {SysResult::Kind::refused, errno, "", 0, ""};
    if (pid == 0) become(arguments, output.write_end(), trouble.write_end());
    output.close_write_end();
    trouble.close_write_end();
    const Descriptor pidfd(open_pidfd(pid));
    Lines lines{on_line};
    const bool ended = ends_in_time(pidfd.number(), output.read_end(), cancel, deadline, lines);
    lines.tell_the_rest();
    if (ended) return outcome_of_end(pidfd.number(), trouble.read_end(), std::move(lines.text));
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL); // it may not have its own session yet
    return {SysResult::Kind::still_running, 0, std::move(lines.text), pid, ""};
}

} // namespace pvegpu
