// Files of our own, the lock, and files that are no plain files.
#include "machine/linux_system.hpp"

#include "catch.hpp"
#include "machine/descriptors.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr Milliseconds soon{10'000};
constexpr Milliseconds very_long{60'000};

} // namespace

// --- our own files ---

TEST_CASE("a full file system leaves the old file whole and no other behind")
{
    if (lacks_root("to mount a file system")) return;
    TempDirectory root;
    TestProcess process([&] {
        const auto run = root("/run");
        if (mkdir(run.c_str(), S_IRWXU) != 0 || unshare(CLONE_NEWNS) != 0) return 77;
        if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
        if (mount("none", run.c_str(), "tmpfs", 0, "size=16k") != 0) return 77;
        LinuxSystem system("test", root());
        system.replace_file("/run/file", "old");
        const auto write_much = [&] { system.replace_file("/run/file", std::string(100'000, 'x')); };
        if (errno_of(write_much) != ENOSPC) return 1;
        return root.text("/run/file") == "old" && system.list("/run").size() == 1 ? 0 : 2;
    });
    const int status = process.wait();
    if (status == 77)
        WARN("not run: no file system can be mounted here");
    else
        CHECK(status == 0);
}

TEST_CASE("a link in the place of one of our files is replaced, not followed; a lock does not follow it")
{
    RealSystem real;
    real.root.file("/other", "other's");
    real.root.link("/run/file", real.root("/other"));
    real.system.replace_file("/run/file", "ours");
    CHECK(real.root.text("/run/file") == "ours");
    CHECK_FALSE(real.system.read_link("/run/file"));
    CHECK(real.root.text("/other") == "other's");
    real.root.link("/run/lock", real.root("/other"));
    CHECK(errno_of([&] { real.system.lock("/run/lock", soon); }) == ELOOP);
}

TEST_CASE("a file or a link takes the place of either, and where it cannot everything is as it was")
{
    RealSystem real;
    real.root.file("/a/file", "file");
    real.root.link("/a/link", "target");
    real.system.move_file("/a/file", "/a/link");
    CHECK_FALSE(real.system.read_link("/a/link"));
    CHECK(real.root.text("/a/link") == "file");
    real.root.link("/a/new", "target");
    real.system.move_file("/a/new", "/a/link");
    CHECK(real.system.read_link("/a/link") == "target");
    CHECK(real.system.list("/a") == std::vector<std::string>{"link"});
    CHECK(errno_of([&] { real.system.move_file("/a/link", "/b/link"); }) == ENOENT);
    CHECK(real.system.read_link("/a/link") == "target");
}

TEST_CASE("a file is replaced with others' lock held, and only if it is what it was")
{
    RealSystem real;
    real.root.file("/etc/pve/lxc/901.conf", "before");
    chmod(real.root("/etc/pve/lxc/901.conf").c_str(), 0640);
    real.root.file("/run/lock/lxc/901.lock", "");
    const auto replace = [&](std::string_view before, Milliseconds timeout) {
        return real.system.replace_locked("/etc/pve/lxc/901.conf", "/run/lock/lxc/901.lock", before, "after",
                                          timeout);
    };
    CHECK(replace("other", soon).error_number == ESTALE);
    CHECK(replace("befor", soon).error_number == ESTALE);
    CHECK(real.root.text("/etc/pve/lxc/901.conf") == "before");
    {
        const Descriptor held(open(real.root("/run/lock/lxc/901.lock").c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(flock(held.number(), LOCK_EX) == 0);
        CHECK(replace("before", Milliseconds(2'000)).error_number == EWOULDBLOCK);
    }
    CHECK(replace("before", soon).done());
    CHECK(real.root.text("/etc/pve/lxc/901.conf") == "after");
    CHECK(real.system.file_facts("/etc/pve/lxc/901.conf")->mode == 0640);
    CHECK(real.system.list("/etc/pve/lxc") == std::vector<std::string>{"901.conf"});
}

TEST_CASE("an absolute link in the tree of '--root' stays in the tree")
{
    RealSystem real;
    const TempDirectory live_host;
    live_host.file("/etc/file", "the live host's");
    real.root.file("/elsewhere/file", "the tree's");
    real.root.link("/dir", "/elsewhere");
    CHECK(real.system.read("/dir/file") == "the tree's");
    CHECK(real.system.list("/dir") == std::vector<std::string>{"file"});
    real.system.replace_file("/dir/new", "text");
    CHECK(real.root.text("/elsewhere/new") == "text");
    CHECK(real.system.write("/dir/file", "THE", soon).done());
    CHECK(real.root.text("/elsewhere/file") == "THE tree's");

    real.root.link("/outside", live_host("/etc"));
    real.root.link("/outside.file", live_host("/etc/file"));
    for (const auto* const path : {"/outside/file", "/outside.file", "/../../../../../../../etc/hostname"}) {
        CHECK_FALSE(real.system.exists(path));
        CHECK_FALSE(real.system.read(path));
        CHECK_FALSE(real.system.file_facts(path));
        CHECK(real.system.write(path, "x", soon).refused());
    }
    CHECK(live_host.text("/etc/file") == "the live host's");
    CHECK(real.system.read_link("/outside") == live_host("/etc")); // as it is written
}

TEST_CASE("our files and the directories that are made for them are for root alone")
{
    RealSystem real;
    real.system.replace_file("/run/hook/deep/file", "text");
    struct stat facts {};
    for (const std::string directory : {"/run", "/run/hook", "/run/hook/deep"}) {
        REQUIRE(stat(real.root(directory).c_str(), &facts) == 0);
        CHECK((facts.st_mode & 07777) == 0700);
    }
    REQUIRE(stat(real.root("/run/hook/deep/file").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777) == 0600);
}

TEST_CASE("the errno of a file that cannot be put in place is told, and nothing is left behind")
{
    RealSystem real;
    real.root.file("/run/file/below", "");
    CHECK(errno_of([&] { real.system.replace_file("/run/file", "x"); }) == EISDIR);
    CHECK(real.system.list("/run") == std::vector<std::string>{"file"});
    real.root.file("/plain", "");
    CHECK(errno_of([&] { real.system.replace_file("/plain/file", "x"); }) == ENOTDIR);
    CHECK(errno_of([&] { real.system.remove_file("/run/file"); }) == EISDIR);
}

TEST_CASE("a lock is free again when its owner is killed, although a child of it is stuck")
{
    TempDirectory root;
    root.fifo("/stuck");
    TestProcess owner([&] {
        LinuxSystem system("test", root());
        system.lock("/run/lock", soon);
        root.file("/ready", "");
        system.write("/stuck", "1", very_long);
        return 0;
    });
    REQUIRE(eventually([&] { return path_exists(root("/ready")); }));
    REQUIRE(eventually([&] { return children_of(owner.pid()).size() == 1; }));
    const SignalsAsBefore signals;
    LinuxSystem other("test", root());
    CHECK_FALSE(other.lock("/run/lock", Milliseconds(50)));
    owner.send(SIGKILL);
    owner.wait();
    CHECK(other.lock("/run/lock", soon));
    root.release_writer("/stuck");
}

// --- reading ---

TEST_CASE("reading does not wait for a fifo")
{
    RealSystem real;
    real.root.fifo("/fifo");
    CHECK(real.system.read("/fifo") == "");
}

TEST_CASE("reading does not go on without end")
{
    const SignalsAsBefore signals;
    const LinuxSystem live_host("test", "");
    CHECK_FALSE(live_host.read("/dev/zero"));
}

TEST_CASE("the devices in a directory are found as by asking for each name")
{
    const SignalsAsBefore signals;
    const LinuxSystem live_host("test", "");
    const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const std::string directory : {"/dev", "/proc/self/fd"}) {
        std::vector<std::string> names;
        for (const auto& [name, number] : live_host.device_numbers_in(directory)) {
            CHECK(live_host.device_number(directory + "/" + name) == number);
            names.push_back(name);
        }
        std::vector<std::string> asked;
        for (const auto& name : live_host.list(directory))
            if (live_host.device_number(directory + "/" + name)) asked.push_back(name);
        std::ranges::sort(names);
        CHECK(names == asked);
        CHECK_FALSE(names.empty());
    }
    CHECK(live_host.device_numbers_in("/absent").empty());
}

TEST_CASE("a device node is known by its number, links followed")
{
    if (lacks_root("to make a device node")) return;
    RealSystem real;
    real.root.device("/dev/null", 1, 3);
    real.root.link("/null", "/dev/null");
    real.root.file("/file", "");
    CHECK(real.system.device_number("/null") == DeviceNumber{1, 3, false});
    CHECK_FALSE(real.system.device_number("/file"));
    CHECK_FALSE(real.system.device_number("/absent"));
}
