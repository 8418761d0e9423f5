// Our monitor in `args`: proposed, kept beside what is there, and taken out again.
#include "base/error.hpp"
#include "catch.hpp"
#include "commands/commands.hpp"
#include "host/programs.hpp"
#include "install_hosts.hpp"
#include "machine/forwarding_system.hpp"
#include "printed_console.hpp"
#include "proxmox/vm_args.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string words(monitor_words);
const std::string file = "/etc/pve/qemu-server/101.conf";

struct Host {
    FakeSystem machine{"6.5.11-8-pve"};
    Printed console;

    explicit Host(const std::string& more = "", const std::vector<std::string>& resets = {"bus"})
    {
        auto gpu = arc_gpu;
        gpu.reset_methods = resets;
        machine.add_driver("i915", {"8086:56a6"});
        machine.add_bridge("", "0000:00:1c.0", {.secondary_bus = 0x03});
        machine.add_function("0000:00:1c.0", "0000:03:00.0", gpu);
        add_host(machine);
        add_vm(machine, 101, "hostpci0: 0000:03:00.0,pcie=1\n" + more);
    }

    int run(int (*command)(Session&), Options options)
    {
        options.vms = {101};
        options.yes = true;
        Session session{machine, console, std::move(options)};
        return command(session);
    }
    void install_it(GuestReboot wish = GuestReboot::where_needed) { run(install, {.guest_reboot = wish}); }
    std::string args() const { return read_vm_args(machine.text(file)).next; }
    void runs()
    {
        machine.add_process(4711, "kvm");
        machine.file("/run/qemu-server/101.pid", "4711\n");
    }
};

} // namespace

TEST_CASE("where the card has no reset of its own our monitor goes behind what 'args' has",
          "[install][guest-reboots]")
{
    for (const std::string args : {"", R"(-smbios 'type=1,serial=a  b' -name "x y")"}) {
        Host host(args.empty() ? "" : "args: " + args + "\n");
        host.install_it();
        CHECK(host.args() == (args.empty() ? words : args + " " + words));
        CHECK(host.console.text.find("it is then started anew, with a clean card") != std::string::npos);
        host.console.text.clear();
        host.install_it();
        CHECK(host.console.text.find("--args") == std::string::npos);
        host.run(detach, {});
        CHECK(host.args() == args);
        CHECK(hookscript_of(host.machine, 101).empty());
    }
}

TEST_CASE("a card that resets itself needs it where it is asked for only", "[install][guest-reboots]")
{
    Host host("", {"flr", "bus"});
    host.install_it();
    CHECK(host.args().empty());
    host.install_it(GuestReboot::clean);
    CHECK(host.args() == words);
}

TEST_CASE("'leave' takes our words out, and proposes none", "[install][guest-reboots]")
{
    Host host("args: -a\n");
    host.install_it(GuestReboot::leave);
    CHECK(host.args() == "-a");
    host.install_it(GuestReboot::clean);
    CHECK(host.args() == "-a " + words);
    host.install_it(GuestReboot::leave);
    CHECK(host.args() == "-a");
}

TEST_CASE("an administrator's 'reboot: 0' is kept and said, and never written by us",
          "[install][guest-reboots]")
{
    for (const auto wish : {GuestReboot::where_needed, GuestReboot::clean}) {
        Host host("reboot: 0\n");
        host.install_it(wish);
        CHECK(host.args().empty());
        CHECK(host.machine.text(file).find("reboot: 0") != std::string::npos);
        CHECK(host.machine.said("has 'reboot: 0'"));
    }
}

TEST_CASE("'args' that cannot be added to stay as they are, with a warning", "[install][guest-reboots]")
{
    for (const std::string args : {"-name 'x", "-chardev socket,id=pve-gpu-hook,path=/x"}) {
        Host host("args: " + args + "\n");
        host.install_it();
        CHECK(host.args() == args);
        CHECK(host.machine.said("cannot be given the hook's monitor"));
        CHECK_FALSE(hookscript_of(host.machine, 101).empty());
    }
}

TEST_CASE("of a VM that runs it is said from when on it counts", "[install][guest-reboots]")
{
    Host host;
    host.runs();
    host.install_it();
    CHECK(host.machine.said("its changed 'args' count from its next start on"));
}

TEST_CASE("a change of 'args' that Proxmox refuses undoes the attachment", "[install][guest-reboots]")
{
    Host host;
    host.machine.answer_run(std::string(paths::qm_program) + " set 101 --args " + words, 255, "not root\n");
    CHECK_THROWS_AS(host.install_it(), Error);
    CHECK(host.args().empty());
    CHECK(hookscript_of(host.machine, 101).empty());
}

TEST_CASE("what was added since stays at a detach, and snapshots that have our words are named",
          "[install][guest-reboots]")
{
    Host host;
    host.install_it();
    host.machine.run({std::string(paths::qm_program), "set", "101", "--args", "-before " + words + " -after"},
                     Milliseconds(1));
    host.machine.file(file, host.machine.text(file) + "\n\n[monday]\nargs: " + words + "\n");
    host.run(detach, {});
    CHECK(host.args() == "-before -after");
    CHECK(host.machine.said("the snapshot 'monday' of VM 101"));
}

TEST_CASE("our words are taken out with the package too, of a guest that was detached by hand as well",
          "[install][guest-reboots]")
{
    for (const auto command : {uninstall, package_remove}) {
        Host host;
        host.install_it();
        host.machine.run({std::string(paths::qm_program), "set", "101", "--delete", "hookscript"},
                         Milliseconds(1));
        const auto another = [&] { return std::make_unique<ForwardingSystem>(host.machine); };
        Session session{host.machine, host.console, {.yes = true}, another};
        CHECK(command(session) == exit_done);
        CHECK(host.args().empty());
    }
}

TEST_CASE("an upgrade starts the readers of VMs that run with our monitor, and of no others",
          "[install][guest-reboots]")
{
    Host host;
    host.runs();
    std::string line = "/usr/bin/kvm -id 101 " + words;
    std::ranges::replace(line, ' ', '\0');
    host.machine.file("/proc/4711/cmdline", line);
    host.machine.add_process(4712, "kvm");
    host.machine.file("/run/qemu-server/102.pid", "4712\n");
    host.machine.file("/proc/4712/cmdline", "/usr/bin/kvm");
    host.machine.file("/run/qemu-server/103.pid", "999\n");
    Session session{host.machine, host.console, {}};
    CHECK(package_configured(session) == exit_done);
    std::vector<std::string> started;
    for (const auto& effect : host.machine.effects())
        if (effect.find("systemctl") != std::string::npos) started.push_back(effect);
    CHECK(started == std::vector<std::string>{
                         "run /usr/bin/systemctl start --no-block pve-gpu-hook-events@101.service"});
}
