// The state in which a caller may leave us, and what he does meanwhile: signals, descriptors, directories,
// readers.
#include "machine/linux_system.hpp"

#include "catch.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr Milliseconds soon{10'000};
constexpr Milliseconds very_long{60'000};

} // namespace

// --- signals ---

TEST_CASE("SIGTERM ends a wait once; what has to be undone can still be written and waited for")
{
    TempDirectory root;
    root.file("/setting", "0");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        root.file("/ready", "");
        const auto wait = [&] { system.wait_until([] { return false; }, very_long); };
        if (reason_of(wait) != ErrorKind::interrupted) return 1;
        raise(SIGTERM); // as Proxmox's user would press Stop again
        if (!system.write("/setting", "1", soon).done()) return 2;
        if (system.read_within("/setting", 10, soon).text != "1") return 3;
        return system.wait_until([] { return false; }, Milliseconds(20)) ? 4 : 0;
    });
    REQUIRE(eventually([&] { return path_exists(root("/ready")); }));
    process.send(SIGTERM);
    CHECK(process.wait() == 0);
    CHECK(root.text("/setting") == "1");
}

TEST_CASE("SIGTERM ends each job that waits; afterwards what has to be undone can be written")
{
    TempDirectory root;
    root.file("/setting", "0");
    for (const auto* name : {"/a", "/b"}) root.fifo(name);
    TestProcess process([&] {
        LinuxSystem system("test", root());
        std::vector<ErrorKind> reasons;
        const auto write = [&](const char* path) {
            return [&, path] { reasons.push_back(reason_of([&] { system.write(path, "1", very_long); })); };
        };
        const System::Job waits = [&] {
            root.file("/ready", "");
            reasons.push_back(reason_of([&] { system.wait_until([] { return false; }, very_long); }));
        };
        system.run_together({write("/a"), write("/b"), waits}, 3);
        std::ranges::sort(reasons);
        if (reasons != std::vector{ErrorKind::interrupted, ErrorKind::stuck_write, ErrorKind::stuck_write})
            return 1;
        return system.write("/setting", "1", soon).done() ? 0 : 2;
    });
    REQUIRE(eventually([&] { return path_exists(root("/ready")); }));
    process.send(SIGTERM);
    CHECK(process.wait() == 0);
    CHECK(root.text("/setting") == "1");
    for (const auto* name : {"/a", "/b"}) root.release_writer(name);
}

TEST_CASE("SIGTERM ends the wait for a stuck write, and the error names the file and the process")
{
    TempDirectory root;
    root.fifo("/stuck");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        const auto text = text_of_error([&] { system.read_within("/stuck", 10, very_long); });
        const auto pid = "pid " + std::to_string(children_of(getpid()).at(0));
        return text.starts_with(root("/stuck")) && text.find(pid) != std::string::npos ? 0 : 1;
    });
    const int writer = open(root("/stuck").c_str(), O_WRONLY | O_CLOEXEC); // returns when the child reads
    process.send(SIGTERM);
    CHECK(process.wait() == 0);
    close(writer);
}

TEST_CASE("a write that ends soon after SIGTERM is over; one that does not keeps the kernel busy")
{
    for (const bool ends : {true, false}) {
        TempDirectory root;
        root.fifo("/slow");
        TestProcess process([&] {
            LinuxSystem system("test", root());
            const auto reason = reason_of([&] { system.write("/slow", "1", very_long); });
            return reason == (ends ? ErrorKind::interrupted : ErrorKind::stuck_write) ? 0 : 1;
        });
        REQUIRE(eventually([&] { return !children_of(process.pid()).empty(); }));
        poll(nullptr, 0,
             200); // the child's open waits for a reader by then; too early a signal finds nothing begun
        process.send(SIGTERM);
        poll(nullptr, 0, 100);
        const auto let_go = [&] { return open(root("/slow").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); };
        int reader = ends ? let_go() : -1;
        CHECK(process.wait() == 0);
        if (!ends) reader = let_go(); // the child that was left behind
        CHECK(eventually([&] { return children_of(process.pid()).empty(); }));
        close(reader);
    }
}

TEST_CASE("nothing is begun after SIGTERM")
{
    TempDirectory root;
    root.file("/setting", "0");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        raise(SIGTERM);
        if (reason_of([&] { system.write("/setting", "1", soon); }) != ErrorKind::interrupted) return 1;
        return children_of(getpid()).empty() ? 0 : 2;
    });
    CHECK(process.wait() == 0);
    CHECK(root.text("/setting") == "0");
}

TEST_CASE("a caller who ignores SIGCHLD does not take a program's exit status from us")
{
    TestProcess process([] {
        std::signal(SIGCHLD, SIG_IGN);
        LinuxSystem system("test", "");
        return system.run({"/bin/sh", "-c", "exit 3"}, soon).error_number;
    });
    CHECK(process.wait() == 3);
}

TEST_CASE("signals that the caller ignores or blocks are seen all the same")
{
    TempDirectory root;
    root.file("/setting", "0");
    TestProcess process([&] {
        for (const int number : {SIGTERM, SIGCHLD, SIGPIPE}) std::signal(number, SIG_IGN);
        LinuxSystem system("test", root());
        if (!system.write("/setting", "1", soon).done()) return 1;
        raise(SIGTERM);
        return reason_of([&] { system.wait_until([] { return false; }, very_long); }) ==
                       ErrorKind::interrupted
                   ? 0
                   : 2;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("a wait looks again until the fact holds or the time has passed")
{
    RealSystem real;
    int looks = 0;
    CHECK(real.system.wait_until([&] { return ++looks == 3; }, soon));
    const auto begin = real.system.now();
    CHECK_FALSE(real.system.wait_until([] { return false; }, Milliseconds(30)));
    CHECK(real.system.now() - begin >= Milliseconds(30));
    CHECK_FALSE(real.system.wait_until([] { return false; }, Milliseconds(0)));
}

// --- descriptors and directories that a caller may have left in any state ---

TEST_CASE("descriptors 0 to 2 that were closed at start do not become files or channels of ours")
{
    TempDirectory root;
    root.file("/setting", "0");
    TestProcess process([&] {
        for (const int standard : {0, 1, 2}) close(standard);
        LinuxSystem system("test", root());
        system.say(Severity::error, "lost");
        if (!system.write("/setting", "1", soon).done()) return 1;
        system.say(Severity::error, "lost");
        const int file = open(root("/setting").c_str(), O_RDONLY);
        return file > 2 && root.text("/setting") == "1" ? 0 : 2;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("a relative root, also with a slash at its end, serves reading, writing and our own files")
{
    TempDirectory root;
    root.file("/machine/sys/file", "0");
    TestProcess process([&] {
        if (chdir(root().c_str()) != 0) return 1;
        for (const std::string name : {"machine", "machine/", "./machine//"}) {
            LinuxSystem system("test", name);
            if (!system.write("/sys/file", "1", soon).done()) return 2;
            if (system.read("/sys/file") != "1" || system.read_within("/sys/file", 9, soon).text != "1")
                return 3;
            system.replace_file("/run/hook/file", name);
            if (root.text("/machine/run/hook/file") != name || !system.lock("/run/hook/lock", soon)) return 4;
        }
        return 0;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("a root that does not exist is an error and is not made")
{
    TempDirectory directory;
    CHECK(reason_of([&] { LinuxSystem("test", directory("/absent")); }) == ErrorKind::not_found);
    CHECK_FALSE(path_exists(directory("/absent")));
}

TEST_CASE("below a root no program is run")
{
    RealSystem real;
    CHECK(real.system.run({"/bin/true"}, soon).error_number == ENOSYS);
}

// --- messages ---

TEST_CASE("a message is one line without control characters, whatever it quotes")
{
    TempDirectory root;
    std::array<int, 2> output{};
    REQUIRE(pipe2(output.data(), O_CLOEXEC) == 0);
    TestProcess process([&] {
        dup2(output[1], STDERR_FILENO);
        LinuxSystem system("test", root());
        system.say(Severity::error, "a\nb\x1b[31m");
        return 0;
    });
    close(output[1]);
    CHECK(read_to_end(output[0]) == "test: a\\x0ab\\x1b[31m\n");
    close(output[0]);
    CHECK(process.wait() == 0);
}

TEST_CASE("a reader of our messages that has stopped reading or has gone does not stop us")
{
    TempDirectory root;
    std::array<int, 2> output{};
    REQUIRE(pipe2(output.data(), O_CLOEXEC) == 0);
    TestProcess process([&] {
        dup2(output[1], STDERR_FILENO);
        close(output[0]);
        LinuxSystem system("test", root());
        const auto begin = system.now();
        system.say(Severity::error, std::string(200'000, 'x')); // more than the pipe takes
        return system.now() - begin < very_long ? 0 : 1;
    });
    SECTION("stopped")
    {
        CHECK(process.wait() == 0);
    }
    SECTION("gone")
    {
        close(std::exchange(output[0], -1));
        CHECK(process.wait() == 0);
    }
    for (const int end : output) close(end);
}

TEST_CASE("syslog gets the guest and the severity, and is not waited for")
{
    TempDirectory root;
    root.file("/dev/null", "");
    const int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = root("/dev/log");
    std::copy(path.begin(), path.end(), std::begin(address.sun_path));
    REQUIRE(bind(log, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    TestProcess process([&] {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        LinuxSystem system("test", root());
        system.log_for_guest("VM 101");
        for (int i = 0; i < 1000; ++i) system.say(Severity::warning, "hot"); // more than the socket takes
        return 0;
    });
    CHECK(process.wait() == 0);
    std::array<char, 200> message{};
    REQUIRE(recv(log, message.data(), message.size() - 1, 0) > 0);
    CHECK(std::string(message.data()) == "<28>test[" + std::to_string(process.pid()) + "]: VM 101: hot");
    close(log);
}

// --- a daemon behind a socket ---

namespace {

class Listener {
public:
    explicit Listener(const std::string& path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), std::begin(address.sun_path));
        REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(socket_, 4) == 0);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { close(socket_); }

    // Answers one question that ends in a blank line, in pieces; what was asked is the answer.
    std::string answer_one(const std::string& text) const
    {
        const int channel = accept(socket_, nullptr, nullptr);
        std::string asked;
        std::array<char, 100> part{};
        while (asked.find("\n\n") == std::string::npos) {
            const auto count = read(channel, part.data(), part.size());
            if (count <= 0) break;
            asked.append(part.data(), static_cast<std::size_t>(count));
        }
        for (std::size_t at = 0; at < text.size(); at += 50'000)
            if (send(channel, text.data() + at, std::min<std::size_t>(50'000, text.size() - at),
                     MSG_NOSIGNAL) < 0)
                break;
        close(channel);
        return asked;
    }

private:
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

constexpr std::size_t most = 1'000'000; // bytes of an answer

} // namespace

TEST_CASE("a daemon's answer is all that comes until it closes")
{
    RealSystem real;
    real.root.file("/x", "");
    const Listener daemon(real.root("/daemon"));
    const std::string long_answer(300'000, 'a');
    TestProcess server([&] { return daemon.answer_one(long_answer) == "question\n\n" ? 0 : 1; });
    const auto answer = real.system.ask("/daemon", "question\n\n", most, soon);
    CHECK(answer.done());
    CHECK(answer.text == long_answer);
    CHECK(server.wait() == 0);
}

TEST_CASE("nobody listens, or says more than is wanted, or nothing")
{
    RealSystem real;
    real.root.file("/file", "");
    CHECK(real.system.ask("/absent", "x\n\n", most, soon).error_number == ENOENT);
    CHECK(real.system.ask("/file", "x\n\n", most, soon).error_number == ECONNREFUSED);
    CHECK(real.system.ask("/" + std::string(200, 'a'), "x\n\n", most, soon).error_number == ENAMETOOLONG);
    const Listener daemon(real.root("/daemon"));
    constexpr Milliseconds a_moment{50};
    const auto silent = real.system.tell("/daemon", "x\n\n", most, a_moment); // in the backlog
    CHECK(silent.still_running());
    CHECK(silent.child == 0);
    TestProcess server([&] {
        daemon.answer_one(""); // the one from before
        daemon.answer_one(std::string(2'000, 'a'));
        return 0;
    });
    CHECK(real.system.ask("/daemon", "x\n\n", 1'000, soon).error_number == EMSGSIZE);
    CHECK(server.wait() == 0);
}

TEST_CASE("SIGTERM ends the wait for a daemon, once")
{
    TempDirectory root;
    root.file("/x", "");
    const Listener daemon(root("/daemon"));
    TestProcess process([&] {
        LinuxSystem system("test", root());
        root.file("/ready", "");
        if (reason_of([&] { system.ask("/daemon", "x\n\n", most, very_long); }) != ErrorKind::interrupted)
            return 1;
        constexpr Milliseconds a_moment{50};
        return system.ask("/daemon", "x\n\n", most, a_moment).still_running() ? 0 : 2;
    });
    REQUIRE(eventually([&] { return path_exists(root("/ready")); }));
    kill(process.pid(), SIGTERM);
    CHECK(process.wait() == 0);
}
