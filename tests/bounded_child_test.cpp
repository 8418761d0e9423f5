#include "machine/bounded_child.hpp"

#include "base/error.hpp"
#include "catch.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;
using Kind = Task::Kind;

namespace {

constexpr Milliseconds soon{10'000};     // it happens at once, on a machine however loaded
constexpr Milliseconds not_long{200};    // it never happens
constexpr Milliseconds with_slack{5000}; // what a wait of `not_long` may last

SysResult write(BoundedChild& child, const std::string& path, const std::string& text,
                Milliseconds timeout = soon)
{
    return child.perform({Kind::write, 0, path, text}, timeout, -1);
}

SysResult read(BoundedChild& child, const std::string& path, std::uint64_t bytes)
{
    return child.perform({Kind::read, bytes, path, ""}, soon, -1);
}

struct FifoDirectory : TempDirectory {
    FifoDirectory() { fifo("/stuck"); }
};

// A child that hangs in open(2), as one that waits for the kernel.
struct StuckChild {
    StuckChild() = default;
    StuckChild(const StuckChild&) = delete;
    StuckChild& operator=(const StuckChild&) = delete;
    ~StuckChild() { directory.release_writer("/stuck"); }

    FifoDirectory directory;
    BoundedChild child;
    SysResult outcome = write(child, directory("/stuck"), "1", not_long);
};

// Those of earlier tests are ending.
pid_t only_child()
{
    REQUIRE(eventually([] { return children_of(getpid()).size() == 1; }));
    return children_of(getpid()).front();
}

} // namespace

TEST_CASE("a child writes over what a file holds and reads as much as it is told")
{
    TempDirectory directory;
    directory.file("/file", "0123456789");
    BoundedChild child;
    CHECK(write(child, directory("/file"), "abc").done());
    CHECK(directory.text("/file") == "abc3456789");
    CHECK(read(child, directory("/file"), 4).text == "abc3");
    CHECK(read(child, directory("/file"), 1000).text == "abc3456789");
    CHECK(read(child, directory("/file"), 0).text.empty());
}

TEST_CASE("a child makes no file: sysfs has those that it has")
{
    TempDirectory directory;
    BoundedChild child;
    const auto outcome = write(child, directory("/absent"), "1");
    CHECK(outcome.refused());
    CHECK(outcome.error_number == ENOENT);
    CHECK(outcome.child == 0);
}

TEST_CASE("the errno of a refused call comes back")
{
    TempDirectory directory;
    BoundedChild child;
    CHECK(write(child, directory(), "1").error_number == EISDIR);
    CHECK(read(child, directory(), 10).error_number == EISDIR);
    CHECK(read(child, directory("/absent"), 10).error_number == ENOENT);
    CHECK(write(child, "/dev/full", "1").error_number == ENOSPC);
}

TEST_CASE("long questions and long answers pass whole")
{
    TempDirectory directory;
    const std::string text(3'000'000, 'x');
    directory.file("/file", "");
    BoundedChild child;
    CHECK(write(child, directory("/file"), text).done());
    CHECK(directory.text("/file") == text);
    CHECK(read(child, directory("/file"), 10'000'000).text == text);
}

TEST_CASE("a write that never returns is left behind at the deadline")
{
    const auto begin = std::chrono::steady_clock::now();
    StuckChild stuck;
    CHECK(std::chrono::steady_clock::now() - begin >= not_long);
    CHECK(std::chrono::steady_clock::now() - begin < with_slack);
    CHECK(stuck.outcome.still_running());
    CHECK(stuck.outcome.child == only_child());
}

TEST_CASE("a stuck child holds nothing of ours: no descriptor, no session, no directory")
{
    std::array<int, 2> ours{};
    REQUIRE(pipe(ours.data()) == 0);
    StuckChild stuck;
    const pid_t pid = stuck.outcome.child;
    const auto files = open_files(pid);
    CHECK(files.size() == 1);
    CHECK(files.at(0).starts_with("socket:"));
    CHECK(getsid(pid) == pid);
    CHECK(getpgid(pid) == pid);
    CHECK(getpgid(pid) != getpgrp());
    std::array<char, 16> where{};
    CHECK(readlink(("/proc/" + std::to_string(pid) + "/cwd").c_str(), where.data(), where.size()) == 1);
    for (const int end : ours) close(end);
}

TEST_CASE("the kernel's stack of a stuck child is told")
{
    if (lacks_root("/proc/PID/stack")) return;
    if (access("/proc/self/stack", R_OK) != 0) {
        WARN("not run: this kernel has no /proc/PID/stack");
        return;
    }
    std::string stack;
    CHECK(eventually([&] { // on a busy machine the time of one can be up before it gets there
        stack = StuckChild().outcome.child_stack;
        return stack.find("fifo_open") != std::string::npos;
    }));
    CHECK(stack.find('\n') == std::string::npos);
}

TEST_CASE("a stuck child ends by itself once the kernel lets it go")
{
    FifoDirectory directory;
    pid_t pid = 0;
    {
        BoundedChild child;
        pid = write(child, directory("/stuck"), "1", not_long).child;
    }
    CHECK(eventually([&] { return process_state(pid) == 'S'; }));
    directory.release_writer("/stuck");
    CHECK(eventually([&] { return waitpid(pid, nullptr, WNOHANG) == pid; }));
}

TEST_CASE("a wait ends early when the descriptor to cancel becomes readable")
{
    std::array<int, 2> cancel{};
    REQUIRE(pipe(cancel.data()) == 0);
    REQUIRE(::write(cancel[1], "x", 1) == 1);
    FifoDirectory directory;
    BoundedChild child;
    const auto begin = std::chrono::steady_clock::now();
    CHECK(child.perform({Kind::write, 0, directory("/stuck"), "1"}, Milliseconds(60'000), cancel[0])
              .still_running());
    CHECK(std::chrono::steady_clock::now() - begin < Milliseconds(30'000));
    directory.release_writer("/stuck");
    for (const int end : cancel) close(end);
}

TEST_CASE("a child that comes to a fifo after its release is not left behind")
{
    FifoDirectory directory;
    pid_t pid = 0;
    {
        BoundedChild child;
        pid = only_child();
        kill(pid, SIGSTOP);
        CHECK(write(child, directory("/stuck"), "1", not_long).still_running());
    }
    directory.release_writer("/stuck");
    kill(pid, SIGCONT);
    CHECK(eventually([&] { return waitpid(pid, nullptr, WNOHANG) == pid; }));
}

TEST_CASE("a stopped child does not stop us, not even while we send")
{
    TempDirectory directory;
    directory.file("/file", "");
    BoundedChild child;
    const pid_t pid = only_child();
    kill(pid, SIGSTOP);
    CHECK(write(child, directory("/file"), std::string(3'000'000, 'x'), not_long).still_running());
    kill(pid, SIGKILL);
}

TEST_CASE("a child that was killed is noticed before the next operation")
{
    TempDirectory directory;
    directory.file("/file", "0");
    BoundedChild child;
    CHECK_FALSE(child.ended());
    const pid_t pid = only_child();
    kill(pid, SIGKILL);
    CHECK(eventually([&] { return child.ended(); }));
    const auto outcome = write(child, directory("/file"), "1");
    CHECK(outcome.refused());
    CHECK(outcome.child == pid);
    CHECK(outcome.error_number == ECANCELED);
    CHECK(directory.text("/file") == "0");
}

TEST_CASE("a child that is killed during an operation is told from a refusal")
{
    const FifoDirectory directory;
    BoundedChild child;
    const pid_t pid = only_child();
    const TestProcess killer([&] {
        open(directory("/stuck").c_str(), O_WRONLY); // returns when the child reads
        return kill(pid, SIGKILL);
    });
    const auto outcome = read(child, directory("/stuck"), 10);
    CHECK(outcome.refused());
    CHECK(outcome.child == pid);
}

TEST_CASE("a child whose channel is descriptor 0 serves like any other")
{
    TempDirectory directory;
    directory.file("/file", "0");
    TestProcess process([&] {
        for (const int standard : {0, 1, 2}) close(standard);
        BoundedChild child;
        if (!write(child, directory("/file"), "1").done()) return 1;
        return read(child, directory("/file"), 10).text == "1" ? 0 : 2;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("no process left to be had is an error with the errno")
{
    if (lacks_root("to become a user with a limit")) return;
    TestProcess process([] {
        constexpr rlimit none{0, 0};
        constexpr uid_t nobody = 65534;
        if (setrlimit(RLIMIT_NPROC, &none) != 0 || setresuid(nobody, nobody, nobody) != 0) return 1;
        try {
            const BoundedChild child;
        } catch (const Error& error) {
            return error.error_number() == EAGAIN ? 0 : 2;
        }
        return 3;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("the claim of something that is no block device tells the errno")
{
    BoundedChild child;
    CHECK(child.perform({Kind::claim, 0, "/absent", ""}, soon, -1).error_number == ENOENT);
}
