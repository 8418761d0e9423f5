#include "machine/run_program.hpp"

#include "base/text.hpp"
#include "catch.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr Milliseconds soon{10'000};
constexpr Milliseconds not_long{200};
constexpr Milliseconds very_long{60'000};

SysResult run(const std::vector<std::string>& arguments, Milliseconds timeout = soon)
{
    return run_program(arguments, timeout, -1);
}

// The shell is only the tests' own way to make a program that behaves as they need it.
SysResult run_script(const std::string& script, Milliseconds timeout = soon)
{
    return run({"/bin/sh", "-c", script}, timeout);
}

bool was_killed(pid_t pid)
{
    int status = 0;
    return eventually([&] { return waitpid(pid, &status, WNOHANG) == pid; }) && WIFSIGNALED(status);
}

} // namespace

TEST_CASE("what a program prints on both outputs comes back in its order")
{
    const auto outcome = run_script("echo one; echo two >&2; echo three");
    CHECK(outcome.done());
    CHECK(outcome.text == "one\ntwo\nthree\n");
}

TEST_CASE("each line is told when it is whole, and what has no end at the end")
{
    std::vector<std::string> told;

    TempDirectory directory;
    const auto go_on = directory("/go-on");
    const auto outcome = run_program(
        {"/bin/sh", "-c",
         "printf 'one\\ntw'; until [ -e " + go_on + " ]; do sleep 0.01; done; printf 'o\\nthree'"},
        soon, -1, [&](std::string_view line) {
            told.emplace_back(line);
            if (told.size() == 1) std::ofstream(go_on) << "x";
        });
    CHECK(outcome.done());
    CHECK(told == std::vector<std::string>{"one", "two", "three"});
}

TEST_CASE("an exit status that is not 0 is a refusal, with the output")
{
    const auto outcome = run_script("echo why; exit 7");
    CHECK(outcome.refused());
    CHECK(outcome.error_number == 7);
    CHECK(outcome.text == "why\n");
}

TEST_CASE("the end by a signal is a refusal with 128 and the signal")
{
    CHECK(run_script("kill -9 $$").error_number == 128 + SIGKILL);
}

TEST_CASE("what kept a program from starting comes back as errno")
{
    TempDirectory directory;
    directory.file("/no-program", "text");
    CHECK(run({directory("/absent")}).error_number == ENOENT);
    CHECK(run({directory("/no-program")}).error_number == EACCES);
    CHECK(run({directory("/absent")}).refused());
    CHECK(run({}).refused());
}

TEST_CASE("an argument stays one argument, whatever is in it")
{
    CHECK(run({"/usr/bin/printf", "%s|", "a b", "$(id)", "", "*"}).text == "a b|$(id)||*|");
}

TEST_CASE("the environment is ours and nothing else")
{
    setenv("PVE_MIGRATED_FROM", "x", 1);
    const auto outcome = run({"/usr/bin/env"});
    unsetenv("PVE_MIGRATED_FROM");
    CHECK(outcome.text == "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\nHOME=/root\n");
}

TEST_CASE("standard input is at its end")
{
    const auto outcome = run({"/bin/cat"});
    CHECK(outcome.done());
    CHECK(outcome.text.empty());
}

TEST_CASE("a program inherits no descriptor, no directory and no strict umask")
{
    std::array<int, 2> ours{};
    REQUIRE(pipe(ours.data()) == 0);
    const mode_t before = umask(077);
    CHECK(run({"/bin/ls", "/proc/self/fd"}).text == "0\n1\n2\n3\n"); // 3 is what ls reads
    CHECK(run_script("pwd; umask").text == "/\n0022\n");
    umask(before);
    for (const int end : ours) close(end);
}

TEST_CASE("a program has its own session and no blocked signal, so that it can be ended")
{
    const SignalsAsBefore signals;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    const auto before = std::signal(SIGHUP, SIG_IGN); // as under nohup
    const std::array<unsigned long, 4> ignore{1};     // SIG_IGN, as the kernel has it
    std::array<unsigned long, 4> before_32{};
    std::array<unsigned long, 4> before_33{};
    REQUIRE(syscall(SYS_rt_sigaction, 32, ignore.data(), before_32.data(), 8) == 0); // as under GNU make 4.3
    REQUIRE(syscall(SYS_rt_sigaction, 33, ignore.data(), before_33.data(), 8) == 0);
    const auto status = run({"/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"});
    CHECK(status.text == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    std::signal(SIGHUP, before);
    syscall(SYS_rt_sigaction, 32, before_32.data(), nullptr, 8);
    syscall(SYS_rt_sigaction, 33, before_33.data(), nullptr, 8);
    const auto stat = run({"/bin/cat", "/proc/self/stat"});
    const auto fields = split(stat.text, ' '); // pid, name, state, parent, process group, session
    CHECK(fields.at(4) == fields.at(0));
    CHECK(fields.at(5) == fields.at(0));
}

TEST_CASE("a program that does not end is killed at the deadline, with what it started")
{
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = run_script("echo begun; sleep 1000 & echo $!; wait", Milliseconds(500));
    CHECK(std::chrono::steady_clock::now() - begin < very_long / 2);
    CHECK(outcome.still_running());
    CHECK(was_killed(outcome.child));
    const auto lines = split(outcome.text, '\n');
    REQUIRE(lines.size() == 3);
    CHECK(lines.at(0) == "begun");
    const auto grandchild = static_cast<pid_t>(parse_decimal(lines.at(1)).value());
    CHECK(eventually([&] { return process_state(grandchild) == '\0' || process_state(grandchild) == 'Z'; }));
}

TEST_CASE("a program that writes without end is killed at the deadline and does not fill the memory")
{
    const auto outcome = run({"/usr/bin/yes"}, Milliseconds(500));
    CHECK(outcome.still_running());
    CHECK(outcome.text.size() == 65536);
    CHECK(was_killed(outcome.child));
}

TEST_CASE("a program that writes much and ends is read to its end, the text is cut")
{
    const auto outcome = run_script("head -c 1000000 /dev/zero | tr '\\0' x; exit 3");
    CHECK(outcome.error_number == 3);
    CHECK(outcome.text == std::string(65536, 'x'));
}

TEST_CASE("what a program leaves behind is not waited for, though it holds the output open")
{
    const auto outcome = run_script("sleep 1000 & echo $!", very_long);
    CHECK(outcome.done());
    const auto left = parse_decimal(trim(outcome.text));
    REQUIRE(left);
    CHECK(process_state(static_cast<pid_t>(*left)) != '\0');
    kill(static_cast<pid_t>(*left), SIGKILL);
}

TEST_CASE("a program that closes its output is waited for all the same")
{
    TempDirectory directory;
    directory.fifo("/gate");
    const TestProcess opener([&] { return open(directory("/gate").c_str(), O_WRONLY) < 0; });
    CHECK(run_script("exec >/dev/null 2>&1; read line <" + directory("/gate") + "; exit 5").error_number ==
          5);
    CHECK(run_script("exec >/dev/null 2>&1; sleep 1000", not_long).still_running());
}

TEST_CASE("a program is killed when the descriptor to cancel becomes readable, though it writes without end")
{
    std::array<int, 2> cancel{};
    REQUIRE(pipe2(cancel.data(), O_CLOEXEC) == 0);
    const TestProcess canceller([&] { return ::write(cancel[1], "x", 1) == 1 ? 0 : 1; });
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = run_program({"/usr/bin/yes"}, very_long, cancel[0]);
    CHECK(outcome.still_running());
    CHECK(std::chrono::steady_clock::now() - begin < very_long / 2);
    CHECK(was_killed(outcome.child));
    for (const int end : cancel) close(end);
}

TEST_CASE("running programs leaves no descriptor of ours open")
{
    const auto before = open_files(getpid()).size();
    run({"/bin/true"});
    run({"/absent"});
    run({"/usr/bin/yes"}, Milliseconds(10));
    CHECK(open_files(getpid()).size() == before);
}
