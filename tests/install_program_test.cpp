// The built installer: below a root of files, with and without a terminal.
#include "catch.hpp"
#include "check/facts.hpp"
#include "check/show_checks.hpp"
#include "ct_hosts.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "host_folder.hpp"
#include "install_hosts.hpp"
#include "installer_tree.hpp"
#include "machine/descriptors.hpp"
#include "real_process.hpp"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

// A terminal whose other end is ours.
struct TerminalSession {
    Descriptor master{posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    std::string slave;

    TerminalSession()
    {
        grantpt(master.number());
        unlockpt(master.number());
        slave = ptsname(master.number()); // NOLINT(concurrency-mt-unsafe)
    }

    // What is on the screen once the program has ended. The keys are pressed when `prompt` has appeared.
    std::pair<int, std::string> run(const std::vector<std::string>& arguments, const std::string& keys,
                                    const std::string& prompt = "? [y/N] ") const
    {
        TestProcess process([&] {
            setsid();
            const int terminal =
                open(slave.c_str(), O_RDWR); // the first one that it opens is its own terminal
            for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(terminal, standard);
            return become(INSTALL_PROGRAM, arguments);
        });
        std::string screen;
        bool pressed = keys.empty();
        std::array<char, 4096> buffer{};
        for (ssize_t count = 1; (count = ::read(master.number(), buffer.data(), buffer.size())) > 0;) {
            screen.append(buffer.data(), static_cast<std::size_t>(count));
            if (pressed || screen.find(prompt) == std::string::npos) continue;
            if (::write(master.number(), keys.data(), keys.size()) < 0) return {99, ""};
            pressed = true;
        }
        return {process.wait(), screen};
    }
};

} // namespace

TEST_CASE("a terminal is asked whether hard-coded lines may go; '--yes' is no answer to that",
          "[install][ct]")
{
    const auto add = [](FakeSystem& machine) {
        add_nvidia_host(machine, {.loaded = true});
        add_container(machine, 901, std::string("hostname: old\n") + mounted_nvidia);
        machine.file("/usr/bin/nvidia-modprobe", "");
        machine.file("/usr/sbin/pct", "");
    };
    const auto has_lines = [](const Tree& tree) {
        return tree.text("/etc/pve/lxc/901.conf").find("lxc.mount.entry: /dev/nvidia0 ") != std::string::npos;
    };
    const Tree tree(add);
    const auto words = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"--ct", "901", "--root", tree()});
        return more;
    };
    const auto [refused, screen] = TerminalSession().run(words({}), "n\nn\n");
    CHECK(refused == 1);
    CHECK(screen.find("Replace line 2 (lxc.cgroup2.devices.allow of 'c 195:* rwm')") != std::string::npos);
    CHECK(screen.find("-lxc.mount.entry") == std::string::npos);
    CHECK(has_lines(tree));
    CHECK(run_installer(words({"--yes"})).status == 0);
    CHECK(has_lines(tree));
    const Tree other(add);
    const auto [done, seen] = TerminalSession().run({"--ct", "901", "--root", other()}, "y\ny\n");
    CHECK(done == 0);
    CHECK(seen.find("-lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none") != std::string::npos);
    CHECK(seen.find("--dev0 /dev/nvidia0,mode=0666") != std::string::npos);
    CHECK(other.text("/etc/pve/lxc/901.conf") == "hostname: old\n");
    const Tree third(add);
    CHECK(third.installer({"--ct", "901", "--yes", "--replace-hard-coded"}).status == 0);
    CHECK_FALSE(has_lines(third));
}

TEST_CASE("the installer prepares a tree of files, lists its programs, and finds nothing to write again",
          "[install]")
{
    const Tree tree;
    const auto dry = tree.installer({"--vm", "101", "--dry-run", "--json"});
    CHECK(dry.status == 0);
    CHECK(nlohmann::json::parse(dry.out)["changed"] == true);
    CHECK_FALSE(path_exists(tree("/etc/modprobe.d/pve-gpu-hook.conf")));
    CHECK_FALSE(path_exists(tree("/var/lib/pve-gpu-hook")));
    const auto done = tree.installer({"install", "--vm", "101", "--yes"});
    CHECK(done.status == 3);
    CHECK(done.err.find("not run, because of '--root': /usr/sbin/update-initramfs -u -k all") !=
          std::string::npos);
    CHECK(tree.text("/etc/modprobe.d/pve-gpu-hook.conf").find("softdep i915 pre: vfio-pci") !=
          std::string::npos);
    struct stat facts {};
    CHECK(stat(tree("/etc/modprobe.d/pve-gpu-hook.conf").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777U) == 0644U);
    CHECK(stat(tree("/etc/modprobe.d").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777U) == 0755U);
    const auto again = tree.installer({"--vm", "101", "--dry-run", "--json"});
    const auto plan = nlohmann::json::parse(again.out);
    for (const auto& change : plan["changes"]) CHECK(change["kind"] == "program");
    CHECK(tree.installer({"uninstall", "--yes"}).status == 0);
    CHECK_FALSE(path_exists(tree("/etc/modprobe.d/pve-gpu-hook.conf")));
    CHECK_FALSE(path_exists(tree("/var/lib/pve-gpu-hook")));
}

TEST_CASE("a command refuses an option that it would not heed", "[install]")
{
    const Tree tree;
    for (const auto& words : std::vector<std::vector<std::string>>{{"uninstall", "--vm", "101", "--yes"},
                                                                   {"detach", "--vm", "101", "--host"},
                                                                   {"detach", "--vm", "101", "--reboot"},
                                                                   {"capture", "--full"},
                                                                   {"capture", "--vm", "101"},
                                                                   {"capture", "--output", "x"},
                                                                   {"capture", "--guest", "x"},
                                                                   {"status", "--guest", "101"},
                                                                   {"try", "--vm", "101", "--ct", "901"},
                                                                   {"verify", "--vm", "101", "--html", "x"},
                                                                   {"--vm", "101", "--gpu", "0"}}) {
        INFO(words.front());
        const auto ended = tree.installer(words);
        CHECK(ended.status == 2);
        CHECK(ended.out.empty());
    }
    CHECK(tree.installer({"uninstall", "--vm", "101"}).err ==
          "pve-gpu-install: 'uninstall' takes no '--vm'; see '--help'\n");
}

TEST_CASE("the installer names what is wrong and exits with 2 for usage, with 1 for the rest", "[install]")
{
    const Tree tree;
    CHECK(run_installer({}).status == 1); // no Proxmox VE host
    CHECK(tree.installer({}).status == 2);
    CHECK(run_installer({"--vm", "99"}).status == 2);
    CHECK(run_installer({"--vm"}).status == 2);
    CHECK(run_installer({"nonsense"}).status == 2);
    CHECK(run_installer({"status", "install"}).status == 2);
    CHECK(run_installer({"status", "--root", ""}).status == 2);
    for (const auto& without_guest :
         std::vector<std::vector<std::string>>{{"--yes"}, {"try"}, {"detach", "--yes"}, {"verify"}}) {
        const auto ended = tree.installer(without_guest);
        CHECK(ended.status == 2);
        CHECK(ended.err.find("which ") != std::string::npos);
    }
    CHECK(run_installer({"--help"}).status == 0);
    CHECK(run_installer({"help"}).out.find("uninstall") != std::string::npos);
    CHECK(run_installer({"--version"}).out.starts_with("pve-gpu-install "));
    CHECK(tree.installer({"--vm", "102", "--yes"}).status == 1);
    CHECK(tree.installer({"--vm", "101"}).err.find("add '--yes'") != std::string::npos);
    CHECK(tree.installer({"--ct", "901"}).status == 1);
    const TempDirectory empty;
    CHECK(run_installer({"status", "--root", empty()}).err.find("not a Proxmox VE host") !=
          std::string::npos);
}

TEST_CASE("status and capture print a tree of files without writing into it", "[install]")
{
    const Tree tree;
    const auto status = tree.installer({"status", "--json"});
    CHECK(status.status == 0);
    CHECK(nlohmann::json::parse(status.out)["cards"][0]["port"] == "0000:00:1c.0");
    CHECK(tree.installer({"status"}).out.find('\x1b') == std::string::npos);
    CHECK(tree.installer({"capture"}).out.starts_with("# made by pve-gpu-install capture\n"));
    CHECK_FALSE(path_exists(tree("/run/pve-gpu-hook")));
}

TEST_CASE("a captured guest that is read back has the plan and the findings of its host", "[install]")
{
    const Tree tree;
    const auto captured = tree.installer({"capture", "--guest", "101", "--output", "shared"});
    REQUIRE(captured.status == 0);
    CHECK(captured.err.find("the capture is in '/shared'") != std::string::npos);
    FakeSystem machine;
    load_host(machine, read_host_folder(tree("/shared")));
    const auto facts = read_check_facts(machine);
    CHECK(print_findings(narrowed(run_checks(facts), {101}), facts.names) ==
          tree.installer({"check", "--vm", "101"}).out);
    const SignalsAsBefore signals;
    const LinuxSystem host("pve-gpu-hook", tree());
    const Request start{101, Phase::pre_start, ""};
    CHECK(plan_json(plan_phase(machine, start)) == plan_json(plan_phase(host, start)));
    const auto again = tree.installer({"capture", "--guest", "101", "--output", "shared"});
    CHECK(again.status == 1);
    CHECK(again.err.find("'/shared' is there already") != std::string::npos);
    CHECK(tree.installer({"capture", "--guest", "101"}).status == 0);
    CHECK(path_exists(tree("/capture-101/vm-101.conf")));
    CHECK(tree.installer({"capture", "--guest", "999"}).status == 1);
    CHECK_FALSE(path_exists(tree("/capture-999")));
}

TEST_CASE("on a terminal the installer asks, and goes by the answer", "[install]")
{
    const Tree tree;
    const auto [refused, first] = TerminalSession().run({"--vm", "101", "--root", tree()}, "n\n");
    CHECK(refused == 1);
    CHECK(first.find("Make these changes? [y/N] ") != std::string::npos);
    CHECK_FALSE(path_exists(tree("/etc/modprobe.d/pve-gpu-hook.conf")));
    const auto [accepted, second] = TerminalSession().run({"--vm", "101", "--root", tree()}, "y\n");
    CHECK(accepted == 3);
    CHECK(second.find("Done: ") != std::string::npos);
    CHECK(path_exists(tree("/etc/modprobe.d/pve-gpu-hook.conf")));
    const auto [status, third] = TerminalSession().run({"status", "--root", tree()}, "");
    CHECK(status == 0);
    CHECK(third.find("Host") != std::string::npos);
}

TEST_CASE("the terminal shows what is being run, and colours only where they are wanted", "[install]")
{
    const Tree tree;
    const auto [done, screen] = TerminalSession().run({"--vm", "101", "--root", tree()}, "yes\n");
    CHECK(done == 3);
    const auto question = screen.find("Make these changes? [y/N] ");
    const auto progress =
        screen.find("pve-gpu-install: running '/usr/sbin/update-initramfs -u -k all', a minute or more");
    CHECK(screen.find("+softdep i915 pre: vfio-pci") < question);
    CHECK(question < progress);
    CHECK(progress < screen.find("Done: "));
    const auto with = [&](const char* name, const char* value) {
        const char* const before = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
        const std::string kept = before != nullptr ? before : "";
        setenv(name, value, 1); // NOLINT(concurrency-mt-unsafe)
        const auto shown = TerminalSession().run({"status", "--root", tree()}, "").second;
        before != nullptr ? setenv(name, kept.c_str(), 1) : unsetenv(name); // NOLINT(concurrency-mt-unsafe)
        return shown;
    };
    CHECK(with("TERM", "xterm").find("\x1b[1mHost") != std::string::npos);
    for (const auto& plain : {with("NO_COLOR", "1"), with("TERM", "dumb"), with("TERM", "")}) {
        CHECK(plain.find("Host") != std::string::npos);
        CHECK(plain.find('\x1b') == std::string::npos);
    }
}

TEST_CASE("Ctrl-C at the question ends the installer, and nothing is changed", "[install]")
{
    const Tree tree;
    const TerminalSession terminal;
    const auto [status, screen] = terminal.run({"--vm", "101", "--root", tree()}, "\x03");
    CHECK(status == 128 + SIGINT);
    CHECK(screen.find("Make these changes? [y/N] ") != std::string::npos);
    CHECK_FALSE(path_exists(tree("/etc/modprobe.d/pve-gpu-hook.conf")));
    CHECK_FALSE(path_exists(tree("/var/lib/pve-gpu-hook")));
}
