// pve-gpu-install --ct: what the commands make of a host. The plans are in tests/hosts/install_ct_*.
#include "catch.hpp"
#include "changes/container_install_plan.hpp"
#include "changes/manifest.hpp"
#include "commands/commands.hpp"
#include "containers/hard_coded.hpp"
#include "ct_hosts.hpp"
#include "install_hosts.hpp"

#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr unsigned vmid = 901;
constexpr pid_t init = 5001;

class QuietConsole : public Console {
public:
    bool answer = false;
    std::string refused = "\n"; // the question with this in it is answered with no
    std::string printed;
    std::vector<std::string> questions;

    void print(std::string_view text) override { printed += text; }
    void progress(std::string_view /*line*/) override {}
    bool can_ask() const override { return true; }
    bool ask(std::string_view question) override
    {
        questions.emplace_back(question);
        return answer && question.find(refused) == std::string_view::npos;
    }
    bool colours() const override { return false; }
};

struct Host {
    FakeSystem machine{"6.8.12-4-pve"};
    QuietConsole console;

    explicit Host(const std::string& lines = "hostname: jelly\n", bool hotplug = true)
    {
        add_nvidia_host(machine, {.loaded = true});
        add_host(machine);
        add_pct(machine, hotplug);
        add_container(machine, vmid, lines);
    }

    int run(int (*command)(Session&), Options options)
    {
        Session session{machine, console, std::move(options)};
        return command(session);
    }
    int install_it(const std::vector<std::string>& gpus = {})
    {
        return run(install, {.containers = {vmid}, .yes = true, .gpus = gpus});
    }
    std::string config() { return machine.text("/etc/pve/lxc/901.conf"); }
    std::size_t ran(const std::string& start)
    {
        const auto& effects = machine.effects();
        return static_cast<std::size_t>(
            std::count_if(effects.begin(), effects.end(), [&](const std::string& effect) {
                return effect.starts_with("run /usr/sbin/pct " + start);
            }));
    }
};

void add_attached_container(FakeSystem& machine)
{
    add_container(machine, vmid, "hookscript: local:snippets/pve-gpu-hook\ndev0: /dev/nvidia0\n");
    machine.tree().set_link("/var/lib/vz/snippets/pve-gpu-hook", "/usr/sbin/pve-gpu-hook");
}

void add_amd_gpu(FakeSystem& machine)
{
    machine.add_driver("amdgpu", {"1002:73df"});
    machine.add_bridge("", "0000:00:03.0", {.secondary_bus = 0x09});
    machine.add_function("0000:00:03.0", "0000:09:00.0",
                         {.vendor = 0x1002, .device = 0x73df, .class_code = 0x030000, .driver = "amdgpu"});
    machine.add_node("0000:09:00.0", "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_node("0000:09:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    machine.tree().set_device("/dev/kfd", {234, 0});
}

} // namespace

TEST_CASE("seed 003: a container that runs without what its configuration names is restarted, though nothing "
          "was changed",
          "[install][ct][seeds]")
{
    Host host("hostname: jelly\n", false);
    CHECK(host.install_it() == exit_done); // somebody wrote the settings while the container was off
    const auto config = host.config();
    start_container(host.machine, vmid, init); // and it runs since before they were written
    CHECK(host.install_it() == exit_done);
    CHECK(host.config() == config);
    CHECK(host.ran("reboot 901") == 1);
    CHECK(host.machine.device_number("/proc/5001/root/dev/nvidia0"));
    CHECK(host.install_it() == exit_done); // it has them now
    CHECK(host.ran("reboot 901") == 1);
}

TEST_CASE("seed 003: settings that were there already are not written a second time", "[install][ct][seeds]")
{
    Host host("dev3: /dev/nvidia0,mode=0660\nlxc.mount.entry: /dev/nvidiactl dev/nvidiactl none bind\n");
    CHECK(host.install_it({"0"}) == exit_done);
    const auto config = host.config();
    CHECK(config.find("dev3: /dev/nvidia0,mode=0660") != std::string::npos);
    CHECK(config.find("dev0: /dev/nvidia-uvm,mode=0666") != std::string::npos);
    CHECK(config.find(": /dev/nvidiactl,") ==
          std::string::npos); // mounted: twice would keep it from starting
    const auto sets = host.ran("set");
    CHECK(host.install_it({"0"}) == exit_done);
    CHECK(host.config() == config);
    CHECK(host.ran("set") == sets);
    CHECK(host.console.printed.ends_with("Nothing to change.\n"));
}

TEST_CASE("a running container that Proxmox gives the nodes at once is not restarted", "[install][ct]")
{
    Host host;
    start_container(host.machine, vmid, init);
    CHECK(host.install_it() == exit_done);
    CHECK(host.ran("reboot") == 0);
    CHECK(host.machine.device_number("/proc/5001/root/dev/nvidia-uvm"));
}

TEST_CASE("nobody's container is restarted unasked", "[install][ct]")
{
    Host host("hostname: jelly\n", false);
    start_container(host.machine, vmid, init);
    host.console.answer = true;
    CHECK(host.run(install, {.containers = {vmid}}) == exit_done);
    REQUIRE(host.console.questions.size() == 2);
    CHECK(host.console.questions.back() == "Restart container 901 now?");
    CHECK(host.ran("reboot 901") == 1);
    Host other("", false);
    add_attached_container(other.machine);
    start_container(other.machine, vmid, init);
    CHECK(other.run(install, {.containers = {vmid}}) == exit_done);
    CHECK(other.ran("reboot 901") == 0);
    CHECK(other.machine.said("container 901 has to be restarted: 'pct reboot 901'"));
    CHECK(other.run(install, {.containers = {vmid}, .dry_run = true}) == exit_done);
    CHECK(other.ran("reboot 901") == 0);
}

TEST_CASE("detaching a container takes back what it was given, and no more", "[install][ct]")
{
    const std::string before = "dev0: /dev/ttyUSB0\nhostname: jelly";
    Host host(before + "\n");
    CHECK(host.install_it() == exit_done);
    CHECK(read_manifest(host.machine).attachment(vmid)->devices.size() == 4);
    CHECK(host.run(detach, {.containers = {vmid}, .yes = true}) == exit_done);
    CHECK(host.config() == before);
    CHECK(read_manifest(host.machine).attachment(vmid) == nullptr);
    CHECK(host.install_it() == exit_done);
    host.machine.run({"/usr/sbin/pct", "set", "901", "--dev1", "/dev/nvidia0,mode=0600"}, Milliseconds(1));
    CHECK(host.run(detach, {.containers = {vmid}, .yes = true}) == exit_done);
    CHECK(host.config().find("dev1: /dev/nvidia0,mode=0600") != std::string::npos); // changed by hand since
    CHECK(host.config().find("dev2:") == std::string::npos);
}

TEST_CASE("uninstalling takes a container's devices back too", "[install][ct]")
{
    Host host;
    CHECK(host.install_it() == exit_done);
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK(host.config() == "hostname: jelly");
}

TEST_CASE("the unit that makes the nodes at boot is enabled once, and uninstalling disables it",
          "[install][ct]")
{
    Host host;
    host.machine.file("/usr/lib/systemd/system/pve-gpu-hook-nodes.service", "[Unit]\n");
    const std::string link = "/etc/systemd/system/multi-user.target.wants/pve-gpu-hook-nodes.service";
    CHECK(host.install_it() == exit_done);
    CHECK(host.machine.read_link(link) == "/usr/lib/systemd/system/pve-gpu-hook-nodes.service");
    CHECK(host.install_it() == exit_done);
    CHECK(host.console.printed.ends_with("Nothing to change.\n"));
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK_FALSE(host.machine.read_link(link));
}

TEST_CASE("a directory that is mounted has its nodes already", "[install][ct]")
{
    FakeSystem machine("6.8.12-4-pve");
    add_host(machine);
    add_pct(machine);
    add_amd_gpu(machine);
    add_container(machine, vmid, "lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n");
    InstallPlan plan;
    add_container_changes(survey_host(machine, {}), survey_container(machine, vmid), {{"0"}}, {}, plan);
    CHECK(plan.changes.front().argv ==
          std::vector<std::string>{"/usr/sbin/pct", "set", "901", "--dev0", "/dev/kfd,mode=0666"});
}

TEST_CASE("hard-coded lines are replaced only if somebody says so, and '--yes' alone does not say it",
          "[install][ct]")
{
    const std::string lines = std::string("hostname: old\n") + mounted_nvidia;
    const auto has_lines = [](Host& host) {
        return host.config().find("lxc.mount.entry: /dev/nvidia0 ") != std::string::npos &&
               host.config().find("lxc.cgroup2.devices.allow: c 508:* rwm") != std::string::npos;
    };
    Host unattended(lines);
    CHECK(unattended.install_it() == exit_done);
    CHECK(has_lines(unattended));
    CHECK(unattended.machine.said("'--replace-hard-coded' replaces them by devN entries"));
    Host refusing(lines);
    refusing.console.answer = true;
    refusing.console.refused = "Replace line 2 (lxc.cgroup2.devices.allow of 'c 195:* rwm'), line 3";
    CHECK(refusing.run(install, {.containers = {vmid}}) == exit_done);
    CHECK(has_lines(refusing));
    CHECK(refusing.console.questions.size() == 2);
    Host agreeing(lines);
    agreeing.console.answer = true;
    CHECK(agreeing.run(install, {.containers = {vmid}}) == exit_done);
    CHECK(agreeing.config().find("lxc.") == std::string::npos);
    CHECK(agreeing.config().find("dev2: /dev/nvidia-uvm,mode=0666") != std::string::npos);
}

TEST_CASE("replaced lines come back when the container is detached, and nothing is replaced twice",
          "[install][ct]")
{
    const std::string before = std::string("hostname: old\n") + mounted_nvidia;
    Host host(before);
    const Options wish{.containers = {vmid}, .yes = true, .replace_hard_coded = true};
    CHECK(host.run(install, wish) == exit_done);
    const auto config = host.config();
    CHECK(config.find("lxc.") == std::string::npos);
    CHECK(host.run(install, wish) == exit_done);
    CHECK(host.config() == config);
    CHECK(host.console.printed.ends_with("Nothing to change.\n"));
    CHECK(read_manifest(host.machine).find("/etc/pve/lxc/901.conf") == nullptr); // pct writes it too
    CHECK(host.run(detach, {.containers = {vmid}, .yes = true}) == exit_done);
    CHECK(host.config() + "\n" == before);
}

TEST_CASE("a pct that fails after lines were cut puts them back", "[install][ct]")
{
    const std::string before = std::string("hostname: old\n") + mounted_nvidia;
    Host host(before);
    host.machine.answer_run("/usr/sbin/pct set 901 --hookscript local:snippets/pve-gpu-hook", 255,
                            "locked\n");
    CHECK_THROWS_AS(host.run(install, {.containers = {vmid}, .yes = true, .replace_hard_coded = true}),
                    Error);
    CHECK(host.config() + "\n" == before);
    CHECK(read_manifest(host.machine).empty());
}

TEST_CASE("lines are put back before snapshots and what is pending", "[install][ct]")
{
    const std::string text = "hostname: a\nlxc.x: 1\n\n[pve:pending]\nmemory: 512\n\n[old]\nlxc.y: 2\n";
    CHECK(with_lines(text, {"lxc.y: 2", "lxc.x: 1"}) ==
          "hostname: a\nlxc.x: 1\nlxc.y: 2\n\n[pve:pending]\nmemory: 512\n\n[old]\nlxc.y: 2\n");
    CHECK(with_lines("hostname: a", {"lxc.x: 1"}) == "hostname: a\nlxc.x: 1\n");
}

TEST_CASE("a failed pct leaves nothing half done", "[install][ct]")
{
    Host host;
    host.machine.answer_run("/usr/sbin/pct set 901 --hookscript local:snippets/pve-gpu-hook", 255,
                            "locked\n");
    CHECK_THROWS_AS(host.install_it(), Error);
    CHECK(host.config() == "hostname: jelly");
    CHECK(read_manifest(host.machine).empty());
}

TEST_CASE("a VM that is given a container's card is told so", "[install][ct]")
{
    FakeSystem machine("6.8.12-4-pve");
    QuietConsole console;
    add_arc(machine);
    add_host(machine);
    machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    add_vm(machine, 101, "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n");
    add_container(machine, vmid, "dev0: /dev/dri/renderD128\n");
    Session session{machine, console, {.vms = {101}, .dry_run = true}};
    install(session);
    CHECK(machine.said("container 901 is given device nodes of '0000:03:00.0' too"));
}

TEST_CASE("that is told while vfio-pci has the card, unless another GPU can have the node", "[install][ct]")
{
    for (const bool alone : {true, false}) {
        FakeSystem machine("6.8.12-4-pve");
        QuietConsole console;
        add_arc(machine, {.driver = "vfio-pci"});
        add_host(machine);
        if (!alone)
            machine.add_function(
                "", "0000:00:02.0",
                {.vendor = 0x8086, .device = 0x4680, .class_code = 0x030000, .driver = "i915"});
        add_vm(machine, 101, "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n");
        add_container(machine, vmid, "dev0: /dev/dri/renderD128\n");
        Session session{machine, console, {.vms = {101}, .dry_run = true}};
        install(session);
        CHECK(machine.said("container 901 is given device nodes of '0000:03:00.0' too") == alone);
    }
}

TEST_CASE("the lines of a container are replaced with Proxmox's lock, and within a deadline", "[install][ct]")
{
    Host host(std::string("hostname: old\n") + mounted_nvidia);
    auto& machine = host.machine;
    const auto replace = [&] {
        host.run(install, {.containers = {vmid}, .yes = true, .gpus = {"0"}, .replace_hard_coded = true});
    };
    const auto before = host.config();
    const auto trouble = [&] {
        try {
            replace();
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    SECTION("Proxmox has the lock")
    {
        machine.hold_lock("/run/lock/lxc/pve-config-901.lock", Milliseconds(60'000));
        CHECK(trouble().find("is being changed by Proxmox") != std::string::npos);
        CHECK(host.config() == before);
    }
    SECTION("the file system hangs")
    {
        machine.hang_write("/etc/pve/lxc/901.conf");
        CHECK(trouble().find("does not answer, and the change may yet be made") != std::string::npos);
        CHECK(machine.elapsed() < Milliseconds(60'000));
    }
    SECTION("it goes well")
    {
        replace();
        const auto& effects = machine.effects();
        CHECK(std::count(effects.begin(), effects.end(),
                         "replace /etc/pve/lxc/901.conf with the lock /run/lock/lxc/pve-config-901.lock") ==
              1);
        CHECK(std::count(effects.begin(), effects.end(), "install /etc/pve/lxc/901.conf") == 0);
    }
}

TEST_CASE("what somebody sets in a container while a failed change is undone is not lost", "[install][ct]")
{
    Host host(std::string("hostname: old\n") + mounted_nvidia);
    auto& machine = host.machine;
    machine.add_program("/usr/sbin/pct", [&](const auto&) { // refuses; and meanwhile somebody adds memory
        machine.file("/etc/pve/lxc/901.conf", "memory: 4096\n" + host.config() + "\n");
        return Outcome{Outcome::Kind::refused, 255, "locked\n", 0, ""};
    });
    CHECK_THROWS_AS(
        host.run(install, {.containers = {vmid}, .yes = true, .gpus = {"0"}, .replace_hard_coded = true}),
        Error);
    CHECK(host.config().find("memory: 4096") != std::string::npos);
    for (const auto* line : {"lxc.mount.entry: /dev/nvidia0", "lxc.cgroup2.devices.allow: c 195:* rwm"})
        CHECK(host.config().find(line) != std::string::npos);
}
