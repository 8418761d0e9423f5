// What system.hpp promises, asked of the fake and of the real one: a test on the fake is worth as much as
// they are alike.
#include "catch.hpp"
#include "fake_system.hpp"
#include "real_process.hpp"

#include <cerrno>
#include <functional>
#include <map>
#include <type_traits>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr Milliseconds soon{10'000};

struct Fake {
    FakeSystem system;

    void file(const std::string& path, const std::string& text) { system.file(path, text); }
    void link(const std::string& path, const std::string& target) { system.tree().set_link(path, target); }
    void directory(const std::string& path) { system.tree().add_directory(path); }
    void device(const std::string& path, DeviceNumber number) { system.tree().set_device(path, number); }
};

struct Real : RealSystem {
    void file(const std::string& path, const std::string& text) const { root.file(path, text); }
    void link(const std::string& path, const std::string& target) const { root.link(path, target); }
    void directory(const std::string& path) const
    {
        root.file(path + "/x", "");
        unlink(root(path + "/x").c_str());
    }
    // A link to one that is there: making nodes needs more than root in some containers.
    void device(const std::string& path, DeviceNumber number) const
    {
        root.device(path, number.major, number.minor);
    }
};

} // namespace

TEMPLATE_TEST_CASE("reading gives the whole text, and nothing for what is no file", "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/etc/file", "two\nlines");
    machine.file("/etc/empty", "");
    machine.link("/etc/link", "file");
    machine.link("/etc/dangling", "absent");
    CHECK(machine.system.read("/etc/file") == "two\nlines");
    CHECK(machine.system.read("/etc/empty") == "");
    CHECK(machine.system.read("/etc/link") == "two\nlines");
    CHECK_FALSE(machine.system.read("/etc/absent"));
    CHECK_FALSE(machine.system.read("/etc/dangling"));
    CHECK_FALSE(machine.system.read("/etc"));
    CHECK_FALSE(machine.system.read("/etc/file/below"));
}

TEMPLATE_TEST_CASE("a link is read as it is written, and nothing else is a link", "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/sys/a/file", "");
    machine.link("/sys/b/driver", "../a/file");
    machine.link("/sys/b/dangling", "nowhere");
    CHECK(machine.system.read_link("/sys/b/driver") == "../a/file");
    CHECK(machine.system.read_link("/sys/b/dangling") == "nowhere");
    CHECK_FALSE(machine.system.read_link("/sys/a/file"));
    CHECK_FALSE(machine.system.read_link("/sys/a"));
    CHECK_FALSE(machine.system.read_link("/sys/absent"));
}

TEMPLATE_TEST_CASE("a list is sorted and holds names of every kind; what is no directory has none",
                   "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/sys/d/b", "");
    machine.file("/sys/d/a.x", "");
    machine.file("/sys/d/.hidden", "");
    machine.file("/sys/d/C/below", "");
    machine.link("/sys/d/link", "nowhere");
    machine.directory("/sys/empty");
    machine.link("/sys/way", "d");
    const std::vector<std::string> names{".hidden", "C", "a.x", "b", "link"};
    CHECK(machine.system.list("/sys/d") == names);
    CHECK(machine.system.list("/sys/way") == names);
    CHECK(machine.system.list("/sys/empty").empty());
    CHECK(machine.system.list("/sys/absent").empty());
    CHECK(machine.system.list("/sys/d/b").empty());
}

TEMPLATE_TEST_CASE("what exists is a file, a directory or a link that leads somewhere", "[contract]", Fake,
                   Real)
{
    TestType machine;
    machine.file("/etc/d/file", "");
    machine.link("/etc/link", "d");
    machine.link("/etc/dangling", "nowhere");
    CHECK(machine.system.exists("/etc/d/file"));
    CHECK(machine.system.exists("/etc/d"));
    CHECK(machine.system.exists("/etc/link/file"));
    CHECK_FALSE(machine.system.exists("/etc/dangling"));
    CHECK_FALSE(machine.system.exists("/etc/absent"));
    CHECK_FALSE(machine.system.exists("/etc/d/file/below"));
}

TEMPLATE_TEST_CASE("only a device node has a number", "[contract]", Fake, Real)
{
    if (std::is_same_v<TestType, Real> && lacks_root("to make a device node")) return;
    TestType machine;
    machine.device("/dev/null", {1, 3, false});
    machine.file("/dev/file", "");
    CHECK(machine.system.device_number("/dev/null") == DeviceNumber{1, 3, false});
    CHECK_FALSE(machine.system.device_number("/dev/file"));
    CHECK_FALSE(machine.system.device_number("/dev"));
    CHECK_FALSE(machine.system.device_number("/dev/absent"));

    // In a directory the files that are none are left out, and what leads to a device counts as one.
    machine.link("/dev/d/leads_to_it", "/dev/null");
    machine.device("/dev/d/zero", {1, 5, false});
    machine.file("/dev/d/file", "");
    machine.link("/dev/d/dangling", "/dev/absent");
    std::map<std::string, DeviceNumber> numbers;
    for (const auto& [name, number] : machine.system.device_numbers_in("/dev/d")) numbers[name] = number;
    CHECK(numbers ==
          std::map<std::string, DeviceNumber>{{"leads_to_it", {1, 3, false}}, {"zero", {1, 5, false}}});
    CHECK(machine.system.device_numbers_in("/dev/absent").empty());
}

TEMPLATE_TEST_CASE("a bounded read brings up to so many bytes, or the errno", "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/etc/pve/file", std::string("a\0b\n", 4));
    CHECK(machine.system.read_within("/etc/pve/file", 100, soon).text == std::string("a\0b\n", 4));
    CHECK(machine.system.read_within("/etc/pve/file", 2, soon).text == std::string("a\0", 2));
    CHECK(machine.system.read_within("/etc/pve/file", 100, soon).done());
    const auto absent = machine.system.read_within("/etc/pve/absent", 100, soon);
    CHECK(absent.refused());
    CHECK(absent.error_number == ENOENT);
    CHECK(absent.text.empty());
    CHECK(machine.system.read_within("/etc/pve", 100, soon).refused());
}

TEMPLATE_TEST_CASE("a write to what is not there is refused with its errno and makes nothing", "[contract]",
                   Fake, Real)
{
    TestType machine;
    machine.directory("/sys/d");
    const auto outcome = machine.system.write("/sys/d/absent", "1", soon);
    CHECK(outcome.refused());
    CHECK(outcome.error_number == ENOENT);
    CHECK_FALSE(machine.system.exists("/sys/d/absent"));
    CHECK(machine.system.write("/sys/absent/absent", "1", soon).error_number == ENOENT);
    CHECK(machine.system.pulse_secondary_bus_reset("/sys/d/config", Milliseconds(1), soon).error_number ==
          ENOENT);
    CHECK(machine.system.try_claim_within("/dev/absent", soon).error_number == ENOENT);
}

TEMPLATE_TEST_CASE("a write that is taken is done and can be read", "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/sys/bus/pci/drivers_autoprobe", "1");
    CHECK(machine.system.write("/sys/bus/pci/drivers_autoprobe", "0", soon).done());
    CHECK(machine.system.read("/sys/bus/pci/drivers_autoprobe")->starts_with('0'));
}

TEMPLATE_TEST_CASE("a file of our own is replaced whole, made with its directories, removed", "[contract]",
                   Fake, Real)
{
    TestType machine;
    machine.directory("/run");
    machine.system.replace_file("/run/pve-gpu-hook/101.json", "long text");
    CHECK(machine.system.read("/run/pve-gpu-hook/101.json") == "long text");
    machine.system.replace_file("/run/pve-gpu-hook/101.json", "short");
    CHECK(machine.system.read("/run/pve-gpu-hook/101.json") == "short");
    machine.system.replace_file("/run/pve-gpu-hook/101.json", "");
    CHECK(machine.system.read("/run/pve-gpu-hook/101.json") == "");
    CHECK(machine.system.list("/run/pve-gpu-hook") == std::vector<std::string>{"101.json"});
    machine.system.remove_file("/run/pve-gpu-hook/101.json");
    CHECK_FALSE(machine.system.exists("/run/pve-gpu-hook/101.json"));
    CHECK(errno_of([&] { machine.system.remove_file("/run/pve-gpu-hook/101.json"); }) == 0);
    CHECK(errno_of([&] { machine.system.remove_file("/absent/file"); }) == 0);
}

TEMPLATE_TEST_CASE("a file that somebody else may make is made whole, or not at all", "[contract]", Fake,
                   Real)
{
    TestType machine;
    machine.directory("/run/qemu-server");
    CHECK(machine.system.create_file("/run/qemu-server/101.reboot", "ours"));
    CHECK(machine.system.read("/run/qemu-server/101.reboot") == "ours");
    CHECK(machine.system.file_facts("/run/qemu-server/101.reboot")->regular);
    CHECK_FALSE(machine.system.create_file("/run/qemu-server/101.reboot", "another"));
    CHECK(machine.system.read("/run/qemu-server/101.reboot") == "ours");
    CHECK(machine.system.list("/run/qemu-server") == std::vector<std::string>{"101.reboot"});
    machine.system.make_link("/run/qemu-server/102.reboot", "/nowhere");
    CHECK_FALSE(machine.system.create_file("/run/qemu-server/102.reboot", "ours"));
}

TEMPLATE_TEST_CASE("a lock can be taken, and its file can be in a directory that was not there", "[contract]",
                   Fake, Real)
{
    TestType machine;
    CHECK(machine.system.lock("/run/pve-gpu-hook/lock", soon));
}

TEST_CASE("a lock that somebody has is not had twice, however long one waits", "[contract]")
{
    constexpr Milliseconds not_long{50};
    SECTION("real")
    {
        RealSystem real;
        LinuxSystem other("test", real.root());
        CHECK(real.system.lock("/run/lock", soon));
        CHECK_FALSE(other.lock("/run/lock", not_long));
        CHECK_FALSE(real.system.lock("/run/lock", not_long));
        CHECK(other.lock("/run/other", soon));
    }
    SECTION("fake")
    {
        FakeSystem fake;
        fake.hold_lock("/run/lock", 2 * not_long);
        CHECK_FALSE(fake.lock("/run/lock", not_long));
        CHECK(fake.lock("/run/lock", 2 * not_long)); // it is free by now
    }
}

TEMPLATE_TEST_CASE("a wait asks at least once, and time passes while it waits", "[contract]", Fake, Real)
{
    TestType machine;
    CHECK(machine.system.wait_until([] { return true; }, Milliseconds(0)));
    const auto begin = machine.system.now();
    CHECK_FALSE(machine.system.wait_until([] { return false; }, Milliseconds(30)));
    CHECK(machine.system.now() - begin >= Milliseconds(30));
}

TEMPLATE_TEST_CASE("a program that is missing or was never told an answer does not stop the test",
                   "[contract]", Fake, Real)
{
    TestType machine;
    CHECK_FALSE(machine.system.run({"/absent/program"}, soon).still_running());
}

TEMPLATE_TEST_CASE("guarded writes are not written while we live", "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/sys/bus/pci/drivers_autoprobe", "0");
    machine.system.guard_write("/sys/bus/pci/drivers_autoprobe", "1");
    CHECK(machine.system.read("/sys/bus/pci/drivers_autoprobe") == "0");
    machine.system.forget_guarded_writes();
    CHECK(machine.system.read("/sys/bus/pci/drivers_autoprobe") == "0");
}

TEMPLATE_TEST_CASE("the facts of a file are those behind its link; two paths of one file are known as one",
                   "[contract]", Fake, Real)
{
    TestType machine;
    machine.file("/etc/d/file", "text");
    machine.file("/etc/d/other", "text");
    machine.link("/etc/link", "d/file");
    machine.link("/etc/dangling", "nowhere");
    const auto facts = machine.system.file_facts("/etc/link");
    REQUIRE(facts);
    CHECK(facts->regular);
    CHECK((facts->mode & 0700) == 0600);
    CHECK(facts->same_file(machine.system.file_facts("/etc/d/file").value()));
    CHECK_FALSE(facts->same_file(machine.system.file_facts("/etc/d/other").value()));
    CHECK_FALSE(machine.system.file_facts("/etc/d")->regular);
    CHECK_FALSE(machine.system.file_facts("/etc/dangling"));
    CHECK_FALSE(machine.system.file_facts("/etc/absent"));
}

TEMPLATE_TEST_CASE(
    "a file of the administrator's is installed with the mode it had, or the one that is given", "[contract]",
    Fake, Real)
{
    TestType machine;
    machine.directory("/etc");
    machine.system.install_file("/etc/modprobe.d/new.conf", "one\n", 0644);
    CHECK(machine.system.read("/etc/modprobe.d/new.conf") == "one\n");
    CHECK(machine.system.file_facts("/etc/modprobe.d/new.conf")->mode == 0644);
    machine.system.install_file("/etc/modprobe.d/new.conf", "two\n", 0600);
    CHECK(machine.system.read("/etc/modprobe.d/new.conf") == "two\n");
    CHECK(machine.system.file_facts("/etc/modprobe.d/new.conf")->mode == 0644);
    CHECK(machine.system.list("/etc/modprobe.d") == std::vector<std::string>{"new.conf"});
}

TEMPLATE_TEST_CASE("a symbolic link is made where nothing is, and no file is installed in its place",
                   "[contract]", Fake, Real)
{
    TestType machine;
    machine.directory("/etc");
    machine.system.make_link("/var/snippets/hook", "/usr/sbin/hook");
    CHECK(machine.system.read_link("/var/snippets/hook") == "/usr/sbin/hook");
    CHECK(errno_of([&] { machine.system.make_link("/var/snippets/hook", "/usr/sbin/other"); }) == EEXIST);
    CHECK_THROWS_AS(machine.system.install_file("/var/snippets/hook", "text", 0644), Error);
    CHECK(machine.system.read_link("/var/snippets/hook") == "/usr/sbin/hook");
    machine.system.remove_empty_directory("/var/snippets");
    CHECK(machine.system.read_link("/var/snippets/hook"));
    machine.system.remove_file("/var/snippets/hook");
    machine.system.remove_empty_directory("/var/snippets");
    CHECK_FALSE(machine.system.exists("/var/snippets"));
    CHECK_NOTHROW(machine.system.remove_empty_directory("/var/snippets"));
}
