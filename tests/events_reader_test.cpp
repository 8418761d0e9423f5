// The reader of a VM's events against a QEMU that is a process of the test's: its sockets, its end, and what
// it must not make of us. Files and /proc are the fake machine's.
#include "base/text.hpp"
#include "catch.hpp"
#include "events/read_events.hpp"
#include "fake_system.hpp"
#include "machine/forwarding_system.hpp"
#include "real_process.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string request = "/run/qemu-server/101.reboot";

sockaddr_un address_of(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

int bound(int type, const std::string& path)
{
    const int file = socket(AF_UNIX, type, 0);
    const auto address = address_of(path);
    bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return file;
}

// What QEMU does of this, in its own process: a machine that runs, is halted by a reset if it was told so, or
// resets.
class FakeQemu {
public:
    FakeQemu(const std::string& path, std::function<void(FakeQemu&)> when_armed)
        : listener_(bound(SOCK_STREAM, path)), path_(path), when_armed_(std::move(when_armed))
    {
        listen(listener_, 1);
    }
    int serve(const std::string& instead = "")
    {
        client_ = accept(listener_, nullptr, nullptr);
        say(instead.empty() ? R"({"QMP": {"version": {}, "capabilities": []}})" : instead);
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t count = 0; (count = read(client_, buffer.data(), buffer.size())) > 0;) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
            for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
                obey(Json::parse(text.substr(0, end)));
                text.erase(0, end + 1);
            }
        }
        return 0;
    }
    void say(const std::string& line) const
    {
        const auto text = line + "\r\n";
        if (write(client_, text.data(), text.size()) < 0) _exit(98);
    }
    void event(const std::string& name, const std::string& data) const
    {
        say(R"({"timestamp": {"seconds": 1}, "event": ")" + name + R"(", "data": )" + data + "}");
    }
    void reset(const std::string& reason = "guest-reset")
    {
        const auto data = R"({"guest": true, "reason": ")" + reason + R"("})";
        halted_ = armed_;
        event(armed_ ? "SHUTDOWN" : "RESET", data);
    }
    void shut_down()
    {
        halted_ = true;
        event("SHUTDOWN", R"({"guest": true, "reason": "guest-shutdown"})");
    }

private:
    void obey(const Json& command)
    {
        const auto name = command["execute"].get<std::string>();
        const auto id = R"(, "id": ")" + command["id"].get<std::string>() + R"("})";
        const auto answer = [&](const std::string& value) { say(R"({"return": )" + value + id); };
        const auto refuse = [&] { say(R"({"error": {"class": "CommandNotFound", "desc": "no"})" + id); };
        if (name == "query-chardev")
            return answer(R"([{"label": "pve-gpu-hook", "filename": "unix:)" + path_ + R"(,server=on"}])");
        if (name == "query-status")
            return answer(halted_ ? R"({"status": "shutdown"})" : R"({"status": "running"})");
        if (name == "query-backup") return refuse();
        if (name == "cont" && halted_ && !was_reset_) return refuse();
        if (name == "cont") halted_ = was_reset_ = false;
        if (name == "system_reset") was_reset_ = true;
        answer("{}");
        if (name != "set-action") return;
        armed_ = command["arguments"]["reboot"] == "shutdown";
        if (armed_ && when_armed_) when_armed_(*this);
    }

    int listener_, client_ = -1;
    std::string path_;
    std::function<void(FakeQemu&)> when_armed_;
    bool armed_ = false, halted_ = false, was_reset_ = false;
};

// VM 101 with such a QEMU. As soon as that has ended, Proxmox takes the request.
struct Host {
    TempDirectory directory;
    FakeSystem machine;
    SignalsAsBefore signals;
    std::string path = directory("/qemu-socket-A");
    std::unique_ptr<TestProcess> qemu;
    std::string taken; // the request that was there

    explicit Host(std::function<void(FakeQemu&)> when_armed, const std::string& instead = "")
    {
        directory.file("/x", "");
        qemu = std::make_unique<TestProcess>(
            [&] { return FakeQemu(path, std::move(when_armed)).serve(instead); });
        CHECK(eventually([&] { return path_exists(path); }));
        machine.add_process(qemu->pid(), "kvm", {{5, {"socket:[77]"}}});
        machine.add_process(getpid(), "pve-gpu-hook");
        machine.file("/proc/" + std::to_string(qemu->pid()) + "/net/unix",
                     "Num RefCount Protocol Flags Type St Inode Path\n"
                     "0: 00000002 00000000 00010000 0001 01 76 /run/qemu-server/101.qmp\n"
                     "0: 00000002 00000000 00010000 0001 01 77 " +
                         path + "\n");
        machine.file("/run/qemu-server/101.pid", std::to_string(qemu->pid()) + "\n");
        config("");
    }
    void config(const std::string& more)
    {
        machine.file("/etc/pve/qemu-server/101.conf", "hookscript: local:snippets/pve-gpu-hook\n" + more);
    }
    std::string expected_request() const { return "pve-gpu-hook " + std::to_string(qemu->pid()) + " 1000\n"; }
    void read(ServiceManager manager = {})
    {
        const OpenSystem open = [&]() -> std::unique_ptr<System> {
            look_at_qemu();
            return std::make_unique<ForwardingSystem>(machine);
        };
        read_events(open, 101, std::move(manager));
    }
    bool end_qemu_if_it_has()
    {
        siginfo_t info{};
        waitid(P_PID, static_cast<id_t>(qemu->pid()), &info, WEXITED | WNOHANG | WNOWAIT);
        if (info.si_pid == 0) return false;
        if (machine.exists("/proc/" + std::to_string(qemu->pid()))) machine.end_process(qemu->pid());
        return true;
    }

private:
    void look_at_qemu()
    {
        if (!end_qemu_if_it_has()) return;
        if (const auto text = machine.read(request)) taken = *text;
        machine.remove_file(request);
    }
};

void exits_after(const FakeQemu& /*qemu*/)
{
    _exit(0);
}

} // namespace

TEST_CASE("an armed reset makes Proxmox's request, which tells whose it is", "[events]")
{
    for (const auto* reason : {"guest-reset", "host-qmp-system-reset"}) {
        Host host([&](FakeQemu& qemu) {
            qemu.reset(reason);
            exits_after(qemu);
        });
        host.read();
        CHECK(host.taken == host.expected_request());
        CHECK(host.machine.said("Proxmox starts it anew"));
        CHECK(host.machine.exists("/run/pve-gpu-hook/reboots/101"));
        CHECK_FALSE(host.machine.exists("/run/pve-gpu-hook/events/101")); // gone with its QEMU
    }
}

TEST_CASE("a shutdown of the guest, and the end of QEMU, ask for nothing", "[events]")
{
    Host shut_down([](FakeQemu& qemu) {
        qemu.shut_down();
        exits_after(qemu);
    });
    shut_down.read();
    CHECK(shut_down.taken.empty());
    Host crashed([](FakeQemu& qemu) { exits_after(qemu); });
    crashed.read();
    CHECK(crashed.taken.empty());
    CHECK_FALSE(crashed.machine.exists("/run/pve-gpu-hook/reboots/101"));
}

TEST_CASE("a reset while the guest is backed up is one in the same QEMU", "[events]")
{
    Host* host = nullptr;
    Host locked([&](FakeQemu& qemu) {
        qemu.reset();
        // armed again only where the lock is gone, which it is not: the end comes from the test
    });
    host = &locked;
    // The lock comes after the arming: between the first look and the event.
    unsigned looks = 0;
    const OpenSystem open = [&]() -> std::unique_ptr<System> {
        if (host->machine.exists("/run/pve-gpu-hook/events/101") && ++looks == 1)
            host->config("lock: backup\n");
        if (host->machine.said("goes on with the card as it is"))
            host->qemu->send(SIGKILL), host->qemu->wait();
        return std::make_unique<ForwardingSystem>(host->machine);
    };
    read_events(open, 101, {});
    CHECK(locked.machine.said("it is being backed up"));
    CHECK(locked.machine.said("goes on with the card as it is"));
    CHECK_FALSE(locked.machine.exists(request));
}

TEST_CASE("a guest that was started anew too often stays off, with a message", "[events]")
{
    Host host([](FakeQemu& qemu) {
        qemu.reset();
        exits_after(qemu);
    });
    host.machine.file("/etc/pve-gpu-hook/settings.json", R"({"guest_reboot": {"most": 1}})");
    CHECK(count_restart(host.machine, 101, {1, 600s}));
    host.read();
    CHECK(host.taken.empty());
    CHECK(host.machine.said("'qm start 101'"));
}

TEST_CASE("a machine is not armed while something is in the way", "[events]")
{
    Host host({});
    host.config("reboot: 0\n");
    bool told = false;
    const OpenSystem open = [&]() -> std::unique_ptr<System> {
        if (!std::exchange(told, told || host.machine.said("'reboot: 0'")) && told) raise(SIGTERM);
        return std::make_unique<ForwardingSystem>(host.machine);
    };
    read_events(open, 101, {});
    CHECK_FALSE(host.machine.said("is started anew"));
}

TEST_CASE("told to end, the reader disarms first", "[events]")
{
    Host host([](FakeQemu&) { kill(getppid(), SIGTERM); });
    host.read();
    CHECK(host.machine.said("its reader ends"));
    CHECK_FALSE(host.machine.exists("/run/pve-gpu-hook/events/101"));
}

TEST_CASE("nonsense, and a line without an end, are left alone at once", "[events]")
{
    const std::string endless(longest_qmp_line + 10, 'x');
    for (const auto& instead : {std::string("nonsense"), std::string("[1]"), endless}) {
        Host host({}, instead);
        bool told = false;
        const OpenSystem open = [&]() -> std::unique_ptr<System> {
            if (!std::exchange(told, told || host.machine.said("QEMU's monitor")) && told) raise(SIGTERM);
            return std::make_unique<ForwardingSystem>(host.machine);
        };
        read_events(open, 101, {});
        CHECK(host.machine.said("QEMU's monitor sends"));
        CHECK_FALSE(host.machine.exists(request));
    }
}

TEST_CASE("a VM whose QEMU has no monitor of ours is nobody's business", "[events]")
{
    Host host({});
    host.machine.file("/proc/" + std::to_string(host.qemu->pid()) + "/net/unix", "");
    host.read();
    CHECK(host.machine.said("has no monitor of ours"));
}

TEST_CASE("a socket that leads to another process is none of ours", "[events]")
{
    Host host({});
    CHECK(Monitor::open(host.path, host.qemu->pid() + 1) == nullptr);
    CHECK(Monitor::open(host.path + "B", host.qemu->pid()) == nullptr);
}

TEST_CASE("what a killed reader has not read of its connection the next one reads", "[events]")
{
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    const std::string line = R"({"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}})"
                             "\n";
    REQUIRE(write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    Monitor killed(dup(ends[0]));
    CHECK(killed.next()->name == "SHUTDOWN"); // seen, and not taken
    CHECK(killed.next()->name == "SHUTDOWN");
    Monitor next(ends[0]);
    CHECK(next.next()->name == "SHUTDOWN");
    next.take();
    CHECK_FALSE(next.next());
    CHECK_FALSE(next.ended());
    close(ends[1]);
    CHECK_FALSE(next.next());
    CHECK(next.ended());
}

TEST_CASE("what QEMU said before it closed the connection is heard, though a command can no longer be sent",
          "[events]")
{
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    const std::string line = R"({"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}})"
                             "\n";
    REQUIRE(write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    close(ends[1]);
    Monitor monitor(ends[0]);
    std::vector<std::string> heard;
    const auto hear = [&](const QmpMessage& event) { heard.push_back(event.name); };
    CHECK_THROWS_AS(monitor.execute("query-status", {}, hear), Error);
    if (const auto left = monitor.next()) hear(*left);
    CHECK(heard == std::vector<std::string>{"SHUTDOWN"});
}

TEST_CASE(
    "told to end while Proxmox has not yet taken the request, the reader leaves its note to the next one",
    "[events]")
{
    Host host([](FakeQemu& qemu) {
        qemu.reset();
        exits_after(qemu);
    });
    bool told = false;
    const OpenSystem open = [&]() -> std::unique_ptr<System> {
        host.end_qemu_if_it_has();
        const bool waits = host.machine.exists(request) && !qemu_of(host.machine, 101);
        if (!std::exchange(told, told || waits) && told) raise(SIGTERM);
        return std::make_unique<ForwardingSystem>(host.machine);
    };
    read_events(open, 101, {});
    CHECK(told);
    CHECK(host.machine.text(request) + "\n" == host.expected_request());
    CHECK(host.machine.exists("/run/pve-gpu-hook/events/101"));
}

TEST_CASE("a line that comes in parts is one", "[events]")
{
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    Monitor monitor(ends[0]);
    for (const auto* part : {"{\"event\": ", "\"RE"}) {
        REQUIRE(write(ends[1], part, std::strlen(part)) > 0);
        CHECK_FALSE(monitor.next());
    }
    REQUIRE(write(ends[1], "SET\"}\n{", 7) == 7);
    CHECK(monitor.next()->name == "RESET");
    monitor.take();
    CHECK_FALSE(monitor.next());
    close(ends[1]);
}

TEST_CASE("QEMU ended while no reader was there: its last words are heard, and the request is made",
          "[events]")
{
    TempDirectory directory;
    FakeSystem machine;
    SignalsAsBefore signals;
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    const std::string line = R"({"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}})"
                             "\n";
    REQUIRE(write(ends[1], line.data(), line.size()) > 0);
    close(ends[1]);
    // The peer of a pair is who made it: this process stands for the QEMU that was.
    machine.file("/run/pve-gpu-hook/events/101", std::to_string(getpid()) + " 1000 1 1 armed\n");
    machine.file("/etc/pve/qemu-server/101.conf", "hookscript: local:snippets/pve-gpu-hook\n");
    machine.tree().add_directory("/run/qemu-server");
    std::string taken;
    const OpenSystem open = [&]() -> std::unique_ptr<System> {
        if (const auto text = machine.read(request)) {
            taken = *text;
            if (machine.said("Proxmox starts it anew")) machine.remove_file(request);
        }
        return std::make_unique<ForwardingSystem>(machine);
    };
    TestProcess reader([&] {
        dup2(ends[0], 3);
        read_events(open, 101, ServiceManager("", std::to_string(getpid()), "1"));
        return taken == "pve-gpu-hook " + std::to_string(getppid()) + " 1000\n" ? 0 : 1;
    });
    CHECK(reader.wait() == 0);
    close(ends[0]);
}

TEST_CASE("the service manager is told in its own words, and is given the connection", "[events]")
{
    TempDirectory directory;
    directory.file("/x", "");
    const auto path = directory("/notify");
    const int manager = bound(SOCK_DGRAM, path);
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    TestProcess service([&] {
        const ServiceManager told(path, "", "");
        told.ready();
        told.keep(ends[1]);
        return 0;
    });
    std::vector<std::string> texts;
    std::vector<int> files;
    while (texts.size() < 3) {
        std::array<char, 256> text{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        iovec part{text.data(), text.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const auto count = recvmsg(manager, &message, 0);
        REQUIRE(count > 0);
        texts.emplace_back(text.data(), static_cast<std::size_t>(count));
        if (const auto* header = CMSG_FIRSTHDR(&message)) {
            int file = -1;
            std::memcpy(&file, CMSG_DATA(header), sizeof file);
            files.push_back(file);
        }
    }
    CHECK(texts == std::vector<std::string>{"READY=1", "FDSTORE=1\nFDNAME=qmp\nFDPOLL=0", "BARRIER=1"});
    REQUIRE(files.size() == 2);
    close(ends[1]);
    REQUIRE(write(files[0], "x", 1) == 1); // it is the connection
    char got = 0;
    CHECK(read(ends[0], &got, 1) == 1);
    close(files[1]); // the barrier
    CHECK(service.wait() == 0);
    for (const int file : {files[0], ends[0], manager}) close(file);
}
