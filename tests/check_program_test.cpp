// The built program's check: on a tree of files, and without any right. Reading the kernel's log for real.
#include "catch.hpp"
#include "check_cases.hpp"
#include "real_process.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr int cannot_start = 126;
constexpr uid_t nobody = 65534;

// Exit status and standard output.
std::pair<int, std::string> run_check(std::vector<std::string> arguments, uid_t user = geteuid())
{
    TempDirectory outputs;
    outputs.file("/out", "");
    arguments.insert(arguments.begin(), {INSTALL_PROGRAM, "check"});
    TestProcess process([&] {
        dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
        dup2(open(outputs("/out").c_str(), O_WRONLY), STDOUT_FILENO);
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        if (user != geteuid() && setuid(user) != 0) return cannot_start;
        execv(INSTALL_PROGRAM, argv.data());
        return cannot_start;
    });
    const int status = process.wait();
    return {status, outputs.text("/out")};
}

// The healthy host's files below a directory.
struct HostTree : TempDirectory {
    HostTree()
    {
        FakeSystem machine("6.14.8-2-pve");
        add_healthy_host(machine);
        for (const auto& [path, node] : machine.tree().nodes()) {
            if (node.kind == FakeNode::Kind::link) link(path, node.text);
            if (node.kind == FakeNode::Kind::file || node.kind == FakeNode::Kind::write_only_file)
                file(path, node.text);
        }
        file("/sys/class/iommu/dmar0/uevent", "");
        chmod((*this)("/usr/sbin/pve-gpu-hook").c_str(), 0755);
    }
};

} // namespace

TEST_CASE("the program checks a tree of files, and writes its report below it", "[check]")
{
    const HostTree tree;
    const auto [status, out] = run_check({"--root", tree(), "--html", "report.html"});
    INFO(out);
    CHECK(out.find("iommu.enabled") != std::string::npos);
    CHECK(out.find("log.readable") != std::string::npos);
    CHECK(out.find("0 errors") != std::string::npos);
    CHECK(status == 0);
    CHECK(tree.text("/report.html").find("</html>") != std::string::npos);
    CHECK(run_check({"--root", tree(), "--html", "report.html"}).first == 0); // its own it writes anew
    tree.file("/notes.txt", "mine\n");
    CHECK(run_check({"--root", tree(), "--html", "notes.txt"}).first == 1);
    CHECK(tree.text("/notes.txt") == "mine\n");
    CHECK(run_check({"--root", tree(), "--html", "/absent/report.html"}).first == 1);
    CHECK_FALSE(path_exists(tree("/absent")));
    CHECK(run_check({"--root", tree(), "--vm", "999"}).first == 1);
    CHECK(run_check({"--explain", ""}).first == 2);
}

TEST_CASE("explanations and the list need neither root nor Proxmox", "[check]")
{
    const auto [status, out] = run_check({"--explain", "not ready 65535ms after FLR; giving up"}, nobody);
    if (status == cannot_start) {
        WARN("skipped: the user 'nobody' may not start the program here");
        return;
    }
    CHECK(status == 0);
    CHECK(out.find("cause (certain)") != std::string::npos);
    CHECK(run_check({"--list"}, nobody).second.find("`iommu.enabled`") != std::string::npos);
    CHECK(run_check({}, nobody).first == 1); // looking at the host needs root
}

TEST_CASE("the records of a log are read without waiting for more, the last of them if there are many",
          "[check]")
{
    RealSystem real;
    real.root.file("/log", "one\ntwo\nthree\n");
    real.root.fifo("/fifo");
    CHECK(real.system.read_records("/log", 100, Milliseconds(1000)) == "one\ntwo\nthree\n");
    CHECK(real.system.read_records("/log", 6, Milliseconds(1000)) == "three\n");
    CHECK(real.system.read_records("/fifo", 100, Milliseconds(1000)) == ""); // nobody writes: at once
    CHECK_FALSE(real.system.read_records("/absent", 100, Milliseconds(1000)));
}

TEST_CASE("the kernel's own log is read to its end", "[check]")
{
    const SignalsAsBefore signals;
    const LinuxSystem live("test", "");
    const auto text = live.read_records("/dev/kmsg", 1U << 20U, Milliseconds(2000));
    if (!text) {
        WARN("skipped: /dev/kmsg may not be read here");
        return;
    }
    CHECK(text->size() <= 1U << 20U);
}
