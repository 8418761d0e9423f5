// The built program, called as Proxmox calls it and as it must not be called.
#include "base/text.hpp"
#include "catch.hpp"
#include "has.hpp"
#include "machine/descriptors.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;
namespace fs = boost::filesystem;

namespace {

struct Ended {
    int status = 0;
    std::string out;
    std::string err;
};

struct Call {
    std::vector<std::string> arguments;
    std::vector<std::string> environment = {};
    std::vector<int> closed = {}; // descriptors
    std::string directory = "/";
};

// 126 if the program cannot be started.
int become_hook(const Call& call, const std::string& out, const std::string& err)
{
    const auto pointers = [](std::vector<std::string>& texts) {
        std::vector<char*> result;
        for (auto& text : texts) result.push_back(text.data());
        result.push_back(nullptr);
        return result;
    };
    auto arguments = call.arguments;
    arguments.insert(arguments.begin(), HOOK_PROGRAM);
    auto environment = call.environment;
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(open(out.c_str(), O_WRONLY), STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY), STDERR_FILENO);
    if (chdir(call.directory.c_str()) != 0) return 126;
    closefrom(STDERR_FILENO + 1);
    for (const int descriptor : call.closed) close(descriptor);
    execve(HOOK_PROGRAM, pointers(arguments).data(), pointers(environment).data());
    return 126;
}

Ended run(const Call& call)
{
    TempDirectory outputs;
    outputs.file("/out", "");
    outputs.file("/err", "");
    TestProcess process([&] { return become_hook(call, outputs("/out"), outputs("/err")); });
    const int status = process.wait();
    return {status, outputs.text("/out"), outputs.text("/err")};
}

// The smallest host that has a guest.
struct Host : TempDirectory {
    Host()
    {
        file("/etc/pve/qemu-server/101.conf", "memory: 512\n");
        file("/proc/sys/kernel/hostname", "pve\n");
        file("/proc/sys/kernel/osrelease", "6.12.0-1-pve\n");
    }

    Ended hook(std::vector<std::string> arguments, std::vector<std::string> environment = {},
               std::vector<int> closed = {}) const
    {
        arguments.insert(arguments.begin(), {"--root", (*this)()});
        return run({std::move(arguments), std::move(environment), std::move(closed)});
    }
    Ended pre_start(std::vector<std::string> environment = {}, std::vector<int> closed = {}) const
    {
        return hook({"101", "pre-start"}, std::move(environment), std::move(closed));
    }
};

// Every path with what it holds, to see that nothing was written.
std::map<std::string, std::string> contents(const std::string& directory)
{
    std::map<std::string, std::string> result;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        struct stat facts {};
        const auto path = entry.path().string();
        if (lstat(path.c_str(), &facts) != 0) continue;
        const auto changed =
            std::to_string(facts.st_mtim.tv_sec) + '.' + std::to_string(facts.st_mtim.tv_nsec);
        result[path] = std::to_string(facts.st_mode) + ' ' + std::to_string(facts.st_size) + ' ' + changed;
    }
    return result;
}

bool has_control_characters(const std::string& text)
{
    return std::any_of(text.begin(), text.end(), [](char c) { return c != '\n' && (c < ' ' || c > '~'); });
}

bool is_usage_error(const Ended& ended)
{
    const auto lines = split(ended.err, '\n');
    return ended.status == 2 && ended.out.empty() && lines.size() == 5 &&
           lines[0].starts_with("pve-gpu-hook: ") && lines[1].starts_with("usage: pve-gpu-hook ") &&
           has(std::string(lines[2]), "--nodes") && has(std::string(lines[3]), "--events") &&
           !has_control_characters(ended.err);
}

// Syslog's socket of a tree of files.
struct SyslogSocket {
    explicit SyslogSocket(const std::string& path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        fs::create_directories(fs::path(path).parent_path());
        if (bind(file.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            FAIL("no socket " << path);
    }
    // What has come so far, a line each.
    std::string lines() const
    {
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t count = 0;
             (count = recv(file.number(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;)
            text += std::string(buffer.data(), static_cast<std::size_t>(count)) + "\n";
        return text;
    }
    Descriptor file{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

} // namespace

TEST_CASE("in the journal a container is a CT, a VM a VM, and one that is not here a guest")
{
    const Host host;
    const SyslogSocket journal(host("/dev/log"));
    host.file("/etc/pve/lxc/901.conf", "dev0: /dev/nvidia0\n");
    host.file("/etc/pve/nodes/pve2/lxc/902.conf", "dev0: /dev/nvidia0\n");
    host.file("/etc/pve/qemu-server/102.conf", "hostpci0: mapping=none\n");
    host.hook({"901", "pre-start"});
    const auto container = journal.lines();
    CHECK(has(container, ": CT 901: '/dev/nvidia0' (dev0) is not there"));
    CHECK_FALSE(has(container, "VM 901"));
    host.hook({"902", "pre-start"}, {"PVE_MIGRATED_FROM=pve2"});
    CHECK(has(journal.lines(), ": CT 902: "));
    host.hook({"102", "pre-start"});
    CHECK(has(journal.lines(), ": VM 102: "));
    host.hook({"999", "pre-start"});
    CHECK(has(journal.lines(), ": guest 999: there is no guest 999 on this node"));
    host.hook({"901", "pre-start", "--dry-run"});
    CHECK(journal.lines().empty());
}

TEST_CASE("the hook prints its help and its version on standard output")
{
    const auto help = run({{"--help"}});
    CHECK(help.status == 0);
    CHECK(help.out.starts_with("usage: pve-gpu-hook "));
    CHECK(help.err.empty());
    const auto version = run({{"--version"}});
    CHECK(version.status == 0);
    CHECK(version.out.starts_with("pve-gpu-hook "));
    CHECK(split(version.out, '\n').size() == 2);
}

TEST_CASE("a VMID that Proxmox would not give is wrong usage")
{
    const std::string vmid = GENERATE("99", "0101", "+101", "-101", "1000000000", "4294967397", "101x", "",
                                      " 101", "101\n", "0x65", "1e2");
    INFO("'" << vmid << "'");
    CHECK(is_usage_error(run({{vmid, "pre-start"}})));
}

TEST_CASE("a phase that Proxmox does not have is wrong usage")
{
    const std::string phase = GENERATE("", "pre-star", "pre-start ", "PRE-START", "start", "\x1b[2J");
    INFO("'" << phase << "'");
    CHECK(is_usage_error(run({{"101", phase}})));
}

TEST_CASE("any other number of words, or an unknown option, is wrong usage")
{
    const auto arguments =
        GENERATE(values<std::vector<std::string>>({{},
                                                   {"101"},
                                                   {"101", "pre-start", "x"},
                                                   {"--force", "101", "pre-start"},
                                                   {"--dry", "101", "pre-start"},
                                                   {"-n", "101", "pre-start"},
                                                   {"--root"},
                                                   {"--root=", "101", "pre-start"},
                                                   {"--root", "", "101", "pre-start"},
                                                   {"--root", "/a", "--root", "/b", "101", "pre-start"},
                                                   {"--json=1", "101", "pre-start"}}));
    INFO(join(arguments, " "));
    CHECK(is_usage_error(run({arguments})));
}

TEST_CASE("the lowest and the highest VMID are guests like others")
{
    const Host host;
    host.file("/etc/pve/qemu-server/100.conf", "");
    host.file("/etc/pve/qemu-server/999999999.conf", "");
    CHECK(host.hook({"100", "pre-start"}).status == 0);
    CHECK(host.hook({"999999999", "pre-start"}).status == 0);
}

TEST_CASE("a guest without a GPU needs nothing: exit 0 and no word")
{
    const Host host;
    const auto ended = host.pre_start();
    CHECK(ended.status == 0);
    CHECK(ended.out.empty());
    CHECK(ended.err.empty());
}

TEST_CASE("a relative root is the directory that it names")
{
    const Host host;
    CHECK(run({{"--root", "etc/..", "101", "pre-start"}, {}, {}, host()}).status == 0);
    CHECK(run({{"--root", "./", "101", "pre-start"}, {}, {}, host()}).status == 0);
    CHECK(nlohmann::json::accept(host.text("/run/pve-gpu-hook/101.json")));
}

TEST_CASE("a --root that does not exist is an error and is not made")
{
    const TempDirectory directory;
    const auto ended = run({{"--root", directory("/absent"), "101", "pre-start"}});
    CHECK(ended.status == 1);
    CHECK(has(ended.err, directory("/absent")));
    CHECK_FALSE(path_exists(directory("/absent")));
}

TEST_CASE("the other phases of a guest without a GPU end well")
{
    const Host host;
    for (const std::string phase : {"post-start", "pre-stop", "post-stop"}) {
        INFO(phase);
        CHECK(host.hook({"101", phase}).status == 0);
    }
}

TEST_CASE("a guest that is not there is an error that names both places")
{
    const Host host;
    const auto ended = host.hook({"102", "pre-start"});
    CHECK(ended.status == 1);
    CHECK(ended.out.empty());
    CHECK(has(ended.err, "/etc/pve/qemu-server/102.conf"));
    CHECK(has(ended.err, "/etc/pve/lxc/102.conf"));
    CHECK(split(ended.err, '\n').size() == 2);
}

TEST_CASE("a settings file with a mistake is an error with its file and key, or its line")
{
    const Host host;
    host.file("/etc/pve-gpu-hook/settings.json", "{\n  // a comment\n  \"strategy\": \"hope\"\n}\n");
    auto ended = host.pre_start();
    CHECK(ended.status == 1);
    CHECK(has(ended.err, "/etc/pve-gpu-hook/settings.json: 'strategy' must be one of"));
    host.file("/etc/pve-gpu-hook/settings.json", "{\n\n]");
    ended = host.pre_start();
    CHECK(ended.status == 1);
    CHECK(has(ended.err, "/etc/pve-gpu-hook/settings.json:3: "));
}

TEST_CASE("control characters of a file are never echoed, in no place of the output")
{
    const Host host;
    std::string noise;
    for (int byte = 0; byte < 256; ++byte)
        if (byte != '\n') noise += static_cast<char>(byte);
    host.file("/etc/pve/qemu-server/101.conf", "name: a\x1b[31m\nhostpci0: 0000:03:00.0,mapping=" + noise +
                                                   "\nhostpci1: mapping=\x1b]0;x\x07\n" + noise +
                                                   "\n\x1b[2J: x\nhostpci2: host=\x1b[2J\n");
    SECTION("in a guest's configuration")
    {
        for (const std::string option : {"--json", "--dry-run"}) {
            const auto ended = host.hook({option, "101", "pre-start"});
            CHECK_FALSE(has_control_characters(ended.err));
            CHECK_FALSE(has_control_characters(ended.out));
            CHECK_FALSE(ended.err.empty());
        }
    }
    SECTION("in the settings")
    {
        host.file("/etc/pve-gpu-hook/settings.json", "{ \"\x1b[2J" + noise);
        CHECK_FALSE(has_control_characters(host.pre_start().err));
        host.file("/etc/pve-gpu-hook/settings.json", "{ \"\\u001b[2J\": 1 }");
        CHECK_FALSE(has_control_characters(host.pre_start().err));
    }
    SECTION("in the environment")
    {
        const auto ended = host.pre_start({"PVE_MIGRATED_FROM=\x1b[2J\n"});
        CHECK(ended.status == 1);
        CHECK_FALSE(has_control_characters(ended.err));
    }
}

TEST_CASE("closed standard descriptors neither crash the hook nor turn its messages into a file's text")
{
    const Host host;
    host.file("/etc/pve/qemu-server/103.conf", "hostpci0: mapping=absent\n");
    const auto closed =
        GENERATE(values<std::vector<int>>({{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {0, 1, 2}}));
    const auto before = contents(host("/etc"));
    CHECK(host.pre_start({}, closed).status == 0);
    const auto ended = host.hook({"--json", "103", "pre-start"}, {}, closed);
    CHECK(ended.status == 1);
    CHECK(contents(host("/etc")) == before);
    for (const auto& entry : fs::recursive_directory_iterator(host("/run")))
        if (fs::is_regular_file(entry.path()) && entry.path().extension() == ".json")
            CHECK(nlohmann::json::accept(host.text(entry.path().string().substr(host().size()))));
    const bool has_out = std::find(closed.begin(), closed.end(), STDOUT_FILENO) == closed.end();
    const bool has_err = std::find(closed.begin(), closed.end(), STDERR_FILENO) == closed.end();
    CHECK(nlohmann::json::accept(ended.out) == has_out);
    CHECK(ended.out.empty() == !has_out);
    CHECK(ended.err.empty() == !has_err);
    CHECK_FALSE(has(ended.out, "pve-gpu-hook: "));
}

TEST_CASE("PVE_MIGRATED_FROM that is empty is the same as none")
{
    const Host host;
    CHECK(host.pre_start({"PVE_MIGRATED_FROM="}).status == 0);
}

TEST_CASE("a guest on its way has its configuration at the node that it comes from")
{
    const Host host;
    host.file("/etc/pve/nodes/pve-2/qemu-server/105.conf", "memory: 512\n");
    CHECK(host.hook({"105", "pre-start"}).status == 1);
    CHECK(host.hook({"105", "pre-start"}, {"PVE_MIGRATED_FROM=pve-2"}).status == 0);
    const auto absent = host.hook({"101", "pre-start"}, {"PVE_MIGRATED_FROM=pve-2"});
    CHECK(absent.status == 1);
    CHECK(has(absent.err, "/etc/pve/nodes/pve-2/qemu-server/101.conf"));
    CHECK(has(absent.err, "/etc/pve/nodes/pve-2/lxc/101.conf"));
}

TEST_CASE("PVE_MIGRATED_FROM that is no name of a node is refused before it becomes a path")
{
    const Host host;
    host.file("/etc/pve/qemu-server/x/qemu-server/101.conf", "memory: 512\n");
    const std::string node = GENERATE("../x", "..", ".", "../qemu-server/x", "a/b", "/", "a b", "-x-/..");
    INFO(node);
    const auto ended = host.pre_start({"PVE_MIGRATED_FROM=" + node});
    CHECK(ended.status == 1);
    CHECK(has(ended.err, "PVE_MIGRATED_FROM"));
}

TEST_CASE("a dry run writes nothing")
{
    const Host host;
    host.file("/etc/pve/qemu-server/103.conf", "hostpci0: mapping=absent\n");
    host.file("/run/pve-gpu-hook/old", "");
    const auto before = contents(host());
    CHECK(host.hook({"--dry-run", "101", "pre-start"}).status == 0);
    CHECK(host.hook({"--dry-run", "--json", "101", "pre-start"}).status == 0);
    CHECK(host.hook({"--dry-run", "103", "pre-start"}).status == 1);
    CHECK(host.hook({"--dry-run", "104", "pre-start"}).status == 1);
    CHECK(contents(host()) == before);
}

TEST_CASE("with --json standard output is one JSON document, also when the start is refused")
{
    const Host host;
    host.file("/etc/pve/qemu-server/103.conf", "hostpci0: mapping=absent\n");
    const auto plan = nlohmann::json::parse(host.hook({"--dry-run", "--json", "101", "pre-start"}).out);
    CHECK(plan.at("schema") == "pve-gpu-hook/plan/1");
    CHECK(plan.at("vmid") == 101);
    CHECK(plan.at("refused").is_null());
    const auto report = nlohmann::json::parse(host.hook({"--json", "101", "pre-start"}).out);
    CHECK(report.at("schema") == "pve-gpu-hook/report/1");
    CHECK(report.at("outcome") == "nothing-to-do");
    const auto refused = nlohmann::json::parse(host.hook({"--json", "103", "pre-start"}).out);
    CHECK(refused.at("outcome") == "refused");
    CHECK(refused.at("refused").at("reason") == "not-found");
    const auto refused_plan =
        nlohmann::json::parse(host.hook({"--dry-run", "--json", "103", "pre-start"}).out);
    CHECK(refused_plan.at("refused").at("reason") == "not-found");
}

TEST_CASE("the report of a run is kept for root alone, and is what --json prints")
{
    const Host host;
    const auto ended = host.hook({"--json", "101", "pre-start"});
    CHECK(host.text("/run/pve-gpu-hook/101.json") == ended.out);
    struct stat facts {};
    REQUIRE(stat(host("/run/pve-gpu-hook/101.json").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777) == 0600);
}

TEST_CASE("a state directory that cannot be written costs the report, not the start")
{
    const Host host;
    host.file("/run", "a file");
    const auto ended = host.pre_start();
    CHECK(ended.status == 0);
    CHECK(has(ended.err, "the report is lost"));
}
