// Notes, hindrances and QEMU's lines: what the reader of a VM's events goes by.
#include "base/lists.hpp"
#include "catch.hpp"
#include "events/hindrance.hpp"
#include "events/qmp.hpp"
#include "fake_system.hpp"
#include "proxmox/ha_config.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

using Kind = Hindrance::Kind;

const std::string request = "/run/qemu-server/101.reboot";
const std::string stop_note = "/run/pve-gpu-hook/stops/101";
const std::string lock_file = "/run/lock/qemu-server/lock-101.conf";
constexpr Process qemu{4711, 1000};

struct Host : FakeSystem {
    Host()
    {
        add_process(4711, "kvm");
        file("/run/qemu-server/101.pid", "4711\n");
        config("");
    }
    void config(const std::string& more)
    {
        file("/etc/pve/qemu-server/101.conf", "hookscript: local:snippets/pve-gpu-hook\n" + more);
    }
    void lock_is_held(bool held)
    {
        file(lock_file, "");
        const auto inode = std::to_string(file_facts(lock_file)->inode);
        file("/proc/locks", held ? "1: FLOCK  ADVISORY  WRITE 4000 00:1a:" + inode + " 0 EOF\n" : "");
    }
    std::optional<Kind> hindrance() const
    {
        const auto found = find_hindrance(*this, 101, qemu);
        return found ? std::optional(found->kind) : std::nullopt;
    }
    void high_availability(const std::string& state, const std::string& node = "online",
                           const std::string& mode = "active", const std::string& service = "started")
    {
        file("/etc/pve/ha/resources.cfg", "vm: 101\n\tgroup x\n" + state);
        file("/etc/pve/ha/manager_status", R"({"node_status":{"pve":")" + node +
                                               R"("},"service_status":{"vm:101":{"state":")" + service +
                                               R"("}}})");
        file("/etc/pve/nodes/pve/lrm_status", R"({"mode":")" + mode + R"(","state":"active"})");
    }
};

QmpMessage message(const std::string& line)
{
    const auto parsed = parse_qmp(line);
    REQUIRE(parsed);
    return *parsed;
}

} // namespace

TEST_CASE("a request tells who made it, and one of Proxmox's is neither overwritten nor taken back",
          "[guest-reboots]")
{
    Host host;
    CHECK(ask_for_restart(host, 101, qemu));
    CHECK(host.text(request) == "pve-gpu-hook 4711 1000");
    CHECK(take_back_request(host, 101));
    CHECK_FALSE(host.exists(request));
    host.file(request, ""); // 'qm reboot'
    CHECK_FALSE(ask_for_restart(host, 101, qemu));
    CHECK_FALSE(take_back_request(host, 101));
    CHECK(host.exists(request));
}

TEST_CASE("a request that nobody took from an earlier QEMU makes room for this one's", "[guest-reboots]")
{
    Host host;
    host.file(request, print_request({4000, 1}));
    CHECK(ask_for_restart(host, 101, qemu));
    CHECK(host.text(request) == "pve-gpu-hook 4711 1000");
}

TEST_CASE("a stop is noted before the request is taken back", "[guest-reboots]")
{
    Host host;
    ask_for_restart(host, 101, qemu);
    note_stop(host, 101);
    CHECK(stop_is_noted(host, 101, qemu));
    CHECK_FALSE(stop_is_noted(host, 101, {4711, 1001})); // another QEMU with its pid
    CHECK_FALSE(host.exists(request));
    const auto noted = std::ranges::find(host.effects(), "replace " + stop_note);
    const auto taken = std::ranges::find(host.effects(), "remove file " + request);
    CHECK(noted < taken);
}

TEST_CASE("a guest is started anew five times in ten minutes, and then again when they are over",
          "[guest-reboots]")
{
    Host host;
    const auto limit = default_settings().guest_reboot;
    for (unsigned i = 0; i < 5; ++i) {
        CHECK(count_restart(host, 101, limit));
        host.advance(60s);
    }
    CHECK_FALSE(count_restart(host, 101, limit));
    CHECK(parse_restart_times(host.text("/run/pve-gpu-hook/reboots/101")).size() == 5);
    host.advance(301s); // the first one is ten minutes ago
    CHECK(count_restart(host, 101, limit));
    CHECK_FALSE(count_restart(host, 101, limit));
}

TEST_CASE("restart times that are damaged, or of a clock that ran otherwise, do not count", "[guest-reboots]")
{
    Host host;
    host.file("/run/pve-gpu-hook/reboots/101", "nonsense\n999999999999\n-1\n\n99999999999999999999999\n");
    CHECK(count_restart(host, 101, {1, 600s}));
}

TEST_CASE("a reader's note comes back as it was written, and a damaged one not at all", "[guest-reboots]")
{
    const ReaderNote note{qemu, {4712, 2000}, ReaderState::waits, "it is being backed up"};
    CHECK(parse_reader_note(print_reader_note(note)) == note);
    for (const auto* text :
         {"", "4711 1000", "4711 1000 4712 2000 sleeps", "x 1000 4712 2000 armed", "0 1000 4712 2000 armed"})
        CHECK_FALSE(parse_reader_note(text));
}

TEST_CASE("nothing is in the way of a guest with our hook", "[guest-reboots]")
{
    CHECK_FALSE(Host().hindrance());
}

TEST_CASE("a stop counts while the guest's lock is held: one that has failed is over", "[guest-reboots]")
{
    Host host;
    note_stop(host, 101);
    host.lock_is_held(true);
    CHECK(host.hindrance() == Kind::stop);
    host.lock_is_held(false);
    CHECK_FALSE(host.hindrance());
    host.refuse_read("/proc/locks", EACCES); // then nobody knows
    CHECK(host.hindrance() == Kind::stop);
}

TEST_CASE("the note of a stop that has failed goes, or the lock of 'qm cleanup' would make it count",
          "[guest-reboots]")
{
    Host host;
    note_stop(host, 101);
    host.lock_is_held(true);
    forget_failed_stop(host, 101, qemu);
    CHECK(host.hindrance() == Kind::stop);
    host.lock_is_held(false);
    forget_failed_stop(host, 101, qemu);
    host.lock_is_held(true);
    CHECK_FALSE(host.hindrance());
}

TEST_CASE("a stop that begins while an older one's note goes keeps its own", "[guest-reboots]")
{
    struct Stopping : Host {
        void remove_file(const std::string& path) override
        {
            Host::remove_file(path);
            lock_is_held(true);
        }
    } host;
    note_stop(host, 101);
    host.lock_is_held(false);
    forget_failed_stop(host, 101, qemu);
    CHECK(host.hindrance() == Kind::stop);
}

TEST_CASE("the lock alone is no stop: a change of the guest's settings takes it too", "[guest-reboots]")
{
    Host host;
    host.lock_is_held(true);
    CHECK_FALSE(host.hindrance());
}

TEST_CASE("a lock is found by its inode, and who waits for it does not hold it", "[guest-reboots]")
{
    CHECK(is_locked("7: POSIX  ADVISORY  READ 1 fd:00:12 0 0\n8: FLOCK  ADVISORY  WRITE 1 00:1a:77 0 EOF\n",
                    77));
    CHECK_FALSE(is_locked("8: FLOCK  ADVISORY  WRITE 1 00:1a:77 0 EOF\n", 7));
    CHECK_FALSE(is_locked("8: -> FLOCK  ADVISORY  WRITE 1 00:1a:77 0 EOF\n", 77));
    CHECK_FALSE(is_locked("nonsense\n\n", 77));
}

TEST_CASE("each thing that is in the way has its kind", "[guest-reboots]")
{
    const std::vector<std::pair<std::string, Kind>> lines{
        {"lock: backup\n", Kind::locked},    {"lock: snapshot\n", Kind::locked},
        {"reboot: 0\n", Kind::setup},        {"reboot: off\n", Kind::setup},
        {"args: -no-reboot\n", Kind::setup}, {"hookscript: local:snippets/other.sh\n", Kind::setup}};
    for (const auto& [line, kind] : lines) {
        INFO(line);
        Host host;
        host.config(line);
        CHECK(host.hindrance() == kind);
    }
    Host gone;
    gone.remove_file("/etc/pve/qemu-server/101.conf");
    CHECK(gone.hindrance() == Kind::elsewhere);
    for (const auto* path : {"/etc/pve/qemu-server/101.conf", "/etc/pve/ha/resources.cfg"}) {
        Host hangs;
        hangs.hang_read(path);
        CHECK(hangs.hindrance() == Kind::unknown);
        CHECK(hangs.elapsed() <= 2s);
    }
}

TEST_CASE("high availability: started and settled, or not at all", "[guest-reboots]")
{
    Host host;
    host.high_availability("");
    CHECK_FALSE(host.hindrance());
    host.high_availability("\tstate enabled\n");
    CHECK_FALSE(host.hindrance());
    host.high_availability("\tstate ignored\n", "maintenance");
    CHECK_FALSE(host.hindrance());
    for (const auto* state : {"stopped", "disabled"}) {
        host.high_availability("\tstate " + std::string(state) + "\n");
        CHECK(host.hindrance() == Kind::elsewhere);
    }
    for (const auto* node : {"maintenance", "unknown", "fence", "gone"}) {
        host.high_availability("", node);
        CHECK(host.hindrance() == Kind::elsewhere);
    }
    for (const auto* mode : {"shutdown", "reboot", "restart", "maintenance"}) {
        host.high_availability("", "online", mode);
        CHECK(host.hindrance() == Kind::elsewhere);
    }
    for (const auto* service : {"request_stop", "freeze", "migrate", "error"}) {
        host.high_availability("", "online", "active", service);
        CHECK(host.hindrance() == Kind::elsewhere);
    }
    host.high_availability("");
    host.file("/etc/pve/ha/manager_status", "{ damaged");
    CHECK(host.hindrance() == Kind::elsewhere); // what cannot be read means no
    host.hang_read("/etc/pve/ha/manager_status");
    CHECK(host.hindrance() == Kind::unknown);
}

TEST_CASE("another guest's place in high availability is not this one's", "[guest-reboots]")
{
    CHECK_FALSE(ha_objection({"vm: 1101\n\tstate stopped\n", "", ""}, "vm:101", "pve"));
    CHECK_FALSE(ha_objection({"ct: 101\n\tstate stopped\n", "", ""}, "vm:101", "pve"));
}

TEST_CASE("QEMU's lines are told apart", "[guest-reboots]")
{
    using MessageKind = QmpMessage::Kind;
    CHECK(message(R"({"QMP": {"version": {}, "capabilities": []}})").kind == MessageKind::greeting);
    const auto answer = message(R"({"return": {"status": "shutdown"}, "id": "7-1"})");
    CHECK(answer.kind == MessageKind::answer);
    CHECK(answer.id == "7-1");
    CHECK(answer.text("status") == "shutdown");
    CHECK(message(R"({"error": {"class": "CommandNotFound", "desc": "x"}})").name == "CommandNotFound");
    CHECK(message(R"({"return": [1], "id": 5})").text("status").empty());
    for (const auto* line : {"", "[]", "7", "{", "\x80", R"("return")"}) CHECK_FALSE(parse_qmp(line));
    CHECK_FALSE(parse_qmp("{\"x\": \"" + std::string(longest_qmp_line, 'a') + "\"}"));
}

TEST_CASE("a reset is told from every other reason to halt", "[guest-reboots]")
{
    const auto shutdown = [](const std::string& reason) {
        return message(R"({"event": "SHUTDOWN", "data": {"guest": true, "reason": ")" + reason + R"("}})");
    };
    for (const auto* reason : {"guest-reset", "host-qmp-system-reset"}) CHECK(is_reset(shutdown(reason)));
    for (const auto* reason : {"guest-shutdown", "guest-panic", "host-qmp-quit", "host-signal", "host-error",
                               "host-ui", "subsystem-reset", "snapshot-load", ""})
        CHECK_FALSE(is_reset(shutdown(reason)));
    CHECK_FALSE(is_reset(message(R"({"event": "SHUTDOWN"})")));
}

TEST_CASE("our monitor is found by its name and its path", "[guest-reboots]")
{
    const auto list = Json::parse(R"([{"label": "serial0", "filename": "vc"},
        {"label": "pve-gpu-hook", "filename": "disconnected:unix:/tmp/qemu-socket-A,server=on"}])");
    CHECK(has_chardev(list, "pve-gpu-hook", "/tmp/qemu-socket-A"));
    CHECK_FALSE(has_chardev(list, "pve-gpu-hook", "/tmp/qemu-socket-AB"));
    CHECK_FALSE(has_chardev(list, "serial0", "/tmp/qemu-socket-A"));
    CHECK_FALSE(has_chardev(Json::object(), "pve-gpu-hook", "/tmp/qemu-socket-A"));
    CHECK(parse_qmp(qmp_command("set-action", {{"reboot", "reset"}}, "1-1"))); // what we send is of that kind
}
