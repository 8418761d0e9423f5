// What only the real system has: children that are stuck or killed, guardians, the reset bit.
#include "machine/linux_system.hpp"

#include "catch.hpp"
#include "machine/paths.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr Milliseconds soon{10'000};
constexpr Milliseconds not_long{200};
constexpr Milliseconds very_long{60'000};

// A configuration space whose bytes are all different, with the reset bit of Bridge Control clear.
std::string config_space()
{
    std::string bytes(256, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(255 - i);
    bytes[0x3e] = '\x12';
    bytes[0x3f] = '\x0f';
    return bytes;
}

std::string config_space_in_reset()
{
    auto bytes = config_space();
    bytes[0x3e] = '\x52';
    return bytes;
}

} // namespace

// --- jobs side by side ---

TEST_CASE("while a job waits for the kernel another goes on, and no two in the same moment")
{
    RealSystem real;
    for (const auto* name : {"/a", "/b", "/c"}) real.root.fifo(name);
    std::vector<SysResult> results(3);
    unsigned waiting = 0, most = 0, at_once = 0;
    const auto job = [&](std::size_t number, const char* path) {
        return [&, number, path] {
            CHECK(++at_once == 1);
            most = std::max(most, ++waiting);
            --at_once;
            results[number] = real.system.write(path, "1", soon); // until it has a reader
            CHECK(++at_once == 1);
            --waiting;
            --at_once;
        };
    };
    const std::vector<System::Job> jobs{job(0, "/a"), job(1, "/b"), job(2, "/c"), [&] {
                                            CHECK(real.system.wait_until([&] { return waiting == 3; }, soon));
                                            for (const auto* name : {"/a", "/b", "/c"})
                                                real.root.release_writer(name);
                                        }};
    real.system.run_together(jobs, 4);
    CHECK(most == 3);
    for (const auto& result : results) CHECK(result.done());
    CHECK(eventually([] { return children_of(getpid()).size() == 1; })); // one is kept for what comes next
}

TEST_CASE("no more jobs than asked for are under way")
{
    RealSystem real;
    unsigned waiting = 0, most = 0;
    const System::Job job = [&] {
        most = std::max(most, ++waiting);
        real.system.wait_until([] { return false; }, Milliseconds(20));
        --waiting;
    };
    real.system.run_together(std::vector(5, job), 2);
    CHECK(most == 2);
    real.system.run_together({job}, 8);
    CHECK(waiting == 0);
}

// --- stuck and killed children ---

TEST_CASE("after a stuck write the next one has a new child")
{
    RealSystem real;
    real.root.fifo("/stuck");
    real.root.file("/good", "0");
    const auto stuck = real.system.write("/stuck", "1", not_long);
    CHECK(stuck.still_running());
    CHECK(real.system.write("/good", "1", soon).done());
    CHECK(real.root.text("/good") == "1");
    CHECK(eventually([&] { return process_state(stuck.child) == 'S'; }));
    real.root.release_writer("/stuck");
}

TEST_CASE("one child serves many operations")
{
    TempDirectory root;
    root.file("/good", "0");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        system.write("/good", "1", soon);
        const auto first = children_of(getpid());
        system.read_within("/good", 10, soon);
        system.write("/absent", "1", soon);
        return first.size() == 1 && children_of(getpid()) == first ? 0 : 1;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("a child that somebody killed between two writes is replaced")
{
    TempDirectory root;
    root.file("/good", "0");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        system.write("/good", "1", soon);
        const auto first = children_of(getpid()).at(0);
        kill(first, SIGKILL);
        eventually([&] { return process_state(first) == 'Z'; });
        return system.write("/good", "2", soon).done() ? 0 : 1;
    });
    CHECK(process.wait() == 0);
    CHECK(root.text("/good") == "2");
}

TEST_CASE("a child that was killed at work is an error: nobody knows how far it got")
{
    TempDirectory root;
    root.fifo("/stuck");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        const auto text = text_of_error([&] { system.read_within("/stuck", 10, very_long); });
        return text.find(root("/stuck")) == 0 && text.find("killed") != std::string::npos ? 0 : 1;
    });
    open(root("/stuck").c_str(), O_WRONLY | O_CLOEXEC); // returns when the child reads
    for (const auto child : children_of(process.pid())) kill(child, SIGKILL);
    CHECK(process.wait() == 0);
}

TEST_CASE("whoever reads our output sees its end as soon as we are gone, whatever our children do")
{
    TempDirectory root;
    root.fifo("/stuck");
    root.file("/setting", "0");
    std::array<int, 2> output{};
    REQUIRE(pipe2(output.data(), O_CLOEXEC) == 0);
    TestProcess process([&] {
        dup2(output[1], STDOUT_FILENO);
        dup2(output[1], STDERR_FILENO);
        LinuxSystem system("test", root());
        system.guard_write("/setting", "1");
        system.say(Severity::error, std::to_string(system.write("/stuck", "1", not_long).child));
        return 0;
    });
    close(output[1]);
    const auto text = read_to_end(output[0]);
    close(output[0]);
    CHECK(process.wait() == 0);
    REQUIRE(text.starts_with("test: "));
    CHECK(eventually([&] { return process_state(std::stoi(text.substr(6))) == 'S'; }));
    root.release_writer("/stuck");
}

// --- guardians ---

TEST_CASE("a guardian writes when we are killed")
{
    TempDirectory root;
    root.file("/setting", "0");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        system.guard_write("/setting", "1");
        root.file("/ready", "");
        wait_for_the_end();
        return 0;
    });
    REQUIRE(eventually([&] { return path_exists(root("/ready")); }));
    CHECK(root.text("/setting") == "0");
    process.send(SIGKILL);
    CHECK(eventually([&] { return root.text("/setting") == "1"; }));
}

TEST_CASE("a guardian that was told to forget writes nothing")
{
    TempDirectory root;
    root.file("/setting", "0");
    TestProcess process([&] {
        LinuxSystem system("test", root());
        system.guard_write("/setting", "1");
        system.forget_guarded_writes();
        root.file("/ready", "");
        wait_for_the_end();
        return 0;
    });
    REQUIRE(eventually([&] { return path_exists(root("/ready")); }));
    const auto guardian = children_of(process.pid()).at(0);
    process.send(SIGKILL);
    CHECK(eventually([&] { return process_state(guardian) == '\0' || process_state(guardian) == 'Z'; }));
    CHECK(root.text("/setting") == "0");
}

TEST_CASE("a guardian has nothing of ours and is not in our process group")
{
    RealSystem real;
    real.root.file("/setting", "0");
    real.system.guard_write("/setting", "0");
    REQUIRE(eventually([] { return children_of(getpid()).size() == 1; }));
    const auto guardian = children_of(getpid()).at(0);
    CHECK(open_files(guardian).size() == 1);
    CHECK(getsid(guardian) == guardian);
    real.system.forget_guarded_writes();
}

TEST_CASE("a guardian that is dead is an error before anything is changed, and a new one follows")
{
    RealSystem real;
    real.root.file("/setting", "0");
    real.system.guard_write("/setting", "0");
    REQUIRE(eventually([] { return children_of(getpid()).size() == 1; }));
    kill(children_of(getpid()).at(0), SIGKILL);
    REQUIRE(eventually([] { return children_of(getpid()).empty(); }));
    CHECK(reason_of([&] { real.system.guard_write("/setting", "0"); }) == ErrorKind::failed);
    CHECK_NOTHROW(real.system.guard_write("/setting", "0"));
    CHECK_NOTHROW(real.system.forget_guarded_writes());
}

// --- the secondary bus reset bit ---

TEST_CASE("the reset bit is set, held and cleared, and nothing else changes")
{
    TempDirectory root;
    root.file("/config", config_space());
    TestProcess process([&] {
        LinuxSystem system("test", root());
        return system.pulse_secondary_bus_reset("/config", Milliseconds(600), soon).done() ? 0 : 1;
    });
    CHECK(eventually([&] { return root.text("/config") == config_space_in_reset(); }));
    CHECK(process.wait() == 0);
    CHECK(root.text("/config") == config_space());
}

TEST_CASE("a reset bit that was left set is cleared")
{
    RealSystem real;
    real.root.file("/config", config_space_in_reset());
    CHECK(real.system.pulse_secondary_bus_reset("/config", Milliseconds(1), soon).done());
    CHECK(real.root.text("/config") == config_space());
}

TEST_CASE("clearing the reset bit writes only where it is set")
{
    RealSystem real;
    real.root.file("/config", config_space_in_reset());
    CHECK(real.system.clear_secondary_bus_reset("/config", soon).done());
    CHECK(real.root.text("/config") == config_space());
    CHECK(real.system.clear_secondary_bus_reset("/config", soon).done());
    CHECK(real.root.text("/config") == config_space());
    real.root.file("/dead", std::string(256, '\xff'));
    CHECK(real.system.clear_secondary_bus_reset("/dead", soon).error_number == ENODEV);
}

TEST_CASE("the reset bit is cleared although we are killed while it is held")
{
    TempDirectory root;
    root.file("/config", config_space());
    TestProcess process([&] {
        LinuxSystem system("test", root());
        return system.pulse_secondary_bus_reset("/config", Milliseconds(1000), soon).done() ? 0 : 1;
    });
    REQUIRE(eventually([&] { return root.text("/config") == config_space_in_reset(); }));
    process.send(SIGKILL);
    CHECK(process.wait() == 128 + SIGKILL);
    CHECK(eventually([&] { return root.text("/config") == config_space(); }));
}

TEST_CASE("a bridge that does not answer is not written to")
{
    RealSystem real;
    const std::string dead(256, '\xff');
    real.root.file("/config", dead);
    CHECK(real.system.pulse_secondary_bus_reset("/config", Milliseconds(1), soon).error_number == ENODEV);
    CHECK(real.root.text("/config") == dead);
}

TEST_CASE("a configuration space that cannot be read or is too short is a refusal")
{
    RealSystem real;
    real.root.file("/config", "short");
    CHECK(real.system.pulse_secondary_bus_reset("/config", Milliseconds(1), soon).error_number == EIO);
    CHECK(real.system.pulse_secondary_bus_reset("/absent", Milliseconds(1), soon).error_number == ENOENT);
    CHECK(real.root.text("/config") == "short");
}

// --- what the kernel tells by no file ---

TEST_CASE("interfaces with an IPv4 address are told by the kernel, a /32 without a route too")
{
    if (lacks_root("to have a network of its own")) return;
    TestProcess process([] {
        if (unshare(CLONE_NEWNET) != 0) return 77;
        LinuxSystem system("test", "");
        const auto names = [&] {
            return system.read_within(std::string(paths::ipv4_interfaces), 4096, soon).text;
        };
        if (!names().empty()) return 1;
        const int channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ifreq request{};
        std::ranges::copy(std::string_view("lo"), std::begin(request.ifr_name));
        const auto set = [&](unsigned long what, std::uint32_t address) {
            sockaddr_in value{};
            value.sin_family = AF_INET;
            value.sin_addr.s_addr = htonl(address);
            std::memcpy(&request.ifr_addr, &value, sizeof value);
            return ioctl(channel, what, &request) == 0;
        };
        if (!set(SIOCSIFADDR, 0x0a010203) || !set(SIOCSIFNETMASK, 0xffffffff)) return 77;
        if (names() != "lo\n") return 2;
        return system.read(std::string(paths::routes)).value_or("").find("lo\t") == std::string::npos ? 0 : 3;
    });
    const int status = process.wait();
    if (status == 77)
        WARN("not run: no network can be made here");
    else
        CHECK(status == 0);
}

TEST_CASE("in a tree of files the interfaces with an address stand in a file")
{
    RealSystem real;
    const std::string path(paths::ipv4_interfaces);
    CHECK(real.system.read_within(path, 4096, soon).refused());
    real.root.file(path, "eno1\n");
    CHECK(real.system.read_within(path, 4096, soon).text == "eno1\n");
}
