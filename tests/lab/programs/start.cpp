// lab-start [--term-after MS] [--then COMMAND] [--stay] PROGRAM VMID PHASE [NAME=VALUE...]
//
// Runs a hookscript exactly as Proxmox VE does (GuestHelpers.pm, Cmd.pm run_command): argv path, vmid, phase;
// standard input a pipe that is closed at once; standard output and error pipes that are BOTH read to
// end-of-file before the child is waited for; its own session; in /. What the hook prints is forwarded. Then
// one line on standard error:
//   lab-start: exit 0, exited after 812 ms, end of file after 815 ms
// --term-after MS  stops the task as Proxmox does: SIGTERM to the process group, after 5 s SIGKILL
// --then COMMAND   runs this (by sh) after the hook, with the same parent process: what `qm start` does next
// --stay           this process, the hook's parent, stays alive until its standard input ends
// The exit status is the hook's, or 128 + signal.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kill_after_term = std::chrono::seconds(5); // RESTEnvironment.pm

struct Options {
    int term_after_ms = -1;
    std::string then;
    bool stay = false;
    std::vector<char*> argv; // program, vmid, phase, null
    std::vector<char*> environment;
};

struct Child {
    pid_t pid = -1;
    int pidfd = -1;
    int out = -1;
    int err = -1;
};

struct Times {
    long exited_ms = -1;
    long end_of_file_ms = -1;
};

[[noreturn]] void fail(const char* what)
{
    std::perror(what);
    std::exit(125);
}

long ms_since(Clock::time_point start)
{
    return static_cast<long>(
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
}

Options parse(int count, char** words)
{
    Options options;
    int next = 1;
    for (; next < count && std::strncmp(words[next], "--", 2) == 0; ++next) {
        const std::string word = words[next];
        if (word == "--stay") {
            options.stay = true;
        } else if (word == "--term-after" && next + 1 < count) {
            options.term_after_ms = std::atoi(words[++next]);
        } else if (word == "--then" && next + 1 < count) {
            options.then = words[++next];
        }
    }
    if (count - next < 3) {
        std::fputs("usage: lab-start [--term-after MS] [--then COMMAND] [--stay] PROGRAM VMID PHASE "
                   "[NAME=VALUE...]\n",
                   stderr);
        std::exit(2);
    }
    options.argv = {words[next], words[next + 1], words[next + 2], nullptr};
    options.environment.assign(words + next + 3, words + count);
    return options;
}

[[noreturn]] void become_hook(const Options& options, const int in[2], const int out[2], const int err[2])
{
    ::setsid();
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    // The scenario's own descriptors are none of the hook's; Proxmox's are close-on-exec.
    ::close_range(3, ~0U, 0);
    if (::chdir("/") != 0) {
        std::_Exit(126);
    }
    ::setenv("LC_ALL", "C", 1);
    ::setenv("LVM_SUPPRESS_FD_WARNINGS", "1", 1);
    ::setenv("PATH", "/sbin:/bin:/usr/sbin:/usr/bin", 1);
    for (char* variable : options.environment) {
        ::putenv(variable);
    }
    ::execv(options.argv[0], options.argv.data());
    std::fprintf(stderr, "lab-start: %s: %s\n", options.argv[0], std::strerror(errno));
    std::_Exit(127);
}

Child start(const Options& options)
{
    int in[2];
    int out[2];
    int err[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
        fail("lab-start: pipe");
    }
    Child child;
    child.pid = ::fork();
    if (child.pid < 0) {
        fail("lab-start: fork");
    }
    if (child.pid == 0) {
        become_hook(options, in, out, err);
    }
    for (int unused : {in[0], in[1], out[1], err[1]}) {
        ::close(unused);
    }
    child.out = out[0];
    child.err = err[0];
    child.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0));
    if (child.pidfd < 0) {
        fail("lab-start: pidfd_open");
    }
    return child;
}

// Returns false at end-of-file.
bool forward(int from, int to)
{
    char buffer[4096];
    const ssize_t size = ::read(from, buffer, sizeof buffer);
    if (size <= 0) {
        return false;
    }
    return ::write(to, buffer, static_cast<std::size_t>(size)) >= 0;
}

// How long poll may wait until the next signal is due, and the signal itself once it is.
class TaskStop {
public:
    TaskStop(const Options& options, pid_t group, Clock::time_point start) : group_(group)
    {
        if (options.term_after_ms >= 0) {
            due_ = start + std::chrono::milliseconds(options.term_after_ms);
            pending_ = SIGTERM;
        }
    }

    int signal_what_is_due()
    {
        if (pending_ == 0) {
            return -1;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(due_ - Clock::now()).count();
        if (left > 0) {
            return static_cast<int>(left) + 1;
        }
        ::kill(-group_, pending_);
        pending_ = pending_ == SIGTERM ? SIGKILL : 0;
        due_ += kill_after_term;
        return 0;
    }

private:
    pid_t group_;
    int pending_ = 0;
    Clock::time_point due_;
};

Times read_to_the_end(const Child& child, const Options& options, Clock::time_point start)
{
    Times times;
    TaskStop stop(options, child.pid, start);
    pollfd waiting[] = {{child.out, POLLIN, 0}, {child.err, POLLIN, 0}, {child.pidfd, POLLIN, 0}};
    // Proxmox does not look at the exit before end-of-file; it is watched here only for the time it happened.
    while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
        if (::poll(waiting, 3, stop.signal_what_is_due()) < 0 && errno != EINTR) {
            fail("lab-start: poll");
        }
        for (int stream : {0, 1}) {
            if (waiting[stream].fd >= 0 && waiting[stream].revents != 0 &&
                !forward(waiting[stream].fd, stream == 0 ? STDOUT_FILENO : STDERR_FILENO)) {
                waiting[stream].fd = -1;
            }
        }
        if (waiting[2].fd >= 0 && waiting[2].revents != 0) {
            times.exited_ms = ms_since(start);
            waiting[2].fd = -1;
        }
    }
    times.end_of_file_ms = ms_since(start);
    return times;
}

int report(int status, const Times& times)
{
    const bool killed = WIFSIGNALED(status);
    const int code = killed ? WTERMSIG(status) : WEXITSTATUS(status);
    std::fflush(stdout);
    std::fprintf(stderr, "lab-start: %s %d, exited after %ld ms, end of file after %ld ms\n",
                 killed ? "signal" : "exit", code, times.exited_ms, times.end_of_file_ms);
    return killed ? 128 + code : code;
}

void stay_until_told()
{
    char ignored[64];
    while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
}

} // namespace

int main(int count, char** words)
{
    const Options options = parse(count, words);
    const auto begin = Clock::now();
    const Child child = start(options);
    Times times = read_to_the_end(child, options, begin);
    int status = 0;
    if (::waitpid(child.pid, &status, 0) != child.pid) {
        fail("lab-start: waitpid");
    }
    if (times.exited_ms < 0) {
        times.exited_ms = ms_since(begin);
    }
    const int result = report(status, times);
    if (!options.then.empty()) {
        // Only Proxmox's next step; its success is for the scenario to judge.
        [[maybe_unused]] const int ignored = std::system(options.then.c_str());
    }
    if (options.stay) {
        stay_until_told();
    }
    return result;
}
