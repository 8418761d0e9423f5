// pve-gpu-install --ct: what the commands make of a host. The plans are in tests/hosts/install_ct_*.
#include "catch.hpp"
#include "changes/container_install_plan.hpp"
#include "changes/manifest.hpp"
#include "commands/commands.hpp"
#include "containers/hard_coded.hpp"
#include "containers/node_plan.hpp"
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
    Screen screen() const override { return {}; }
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

bool ran_program(const FakeSystem& machine, const std::string& command)
{
    const auto& effects = machine.effects();
    return std::find(effects.begin(), effects.end(), "run " + command) != effects.end();
}

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

TEST_CASE("what a container has made itself by the numbers that go is kept, or named and asked about",
          "[install][ct]")
{
    const std::string lines = std::string("hostname: old\n") + mounted_nvidia;
    const auto host_with_own_nodes = [&](Host& host, bool second_gpu) {
        if (second_gpu) host.machine.tree().set_device("/dev/nvidia1", {195, 1});
        start_container(host.machine, vmid, init);
        give_node(host.machine, init, "/dev/nvidia1", {195, 1});
    };
    const Options wish{.containers = {vmid}, .gpus = {"0"}, .replace_hard_coded = true};
    const std::string loss = "container 901 loses '/dev/nvidia1' (195:1)";
    SECTION("the host has the same node: a devN keeps it")
    {
        Host host(lines);
        host_with_own_nodes(host, true);
        auto agreed = wish;
        agreed.yes = true;
        CHECK(host.run(install, agreed) == exit_done);
        CHECK(host.config().find(": /dev/nvidia1,mode=0666") != std::string::npos);
        CHECK_FALSE(host.machine.said(loss));
    }
    SECTION("it has not: a dry run says it")
    {
        Host host(lines);
        host_with_own_nodes(host, false);
        auto dry = wish;
        dry.dry_run = true;
        CHECK(host.run(install, dry) == exit_done);
        CHECK(host.machine.said(loss));
        CHECK(host.console.questions.empty());
    }
    SECTION("nobody agrees: nothing is changed")
    {
        Host host(lines);
        host_with_own_nodes(host, false);
        const auto before = host.config();
        host.console.answer = true;
        host.console.refused = loss;
        CHECK_THROWS_AS(host.run(install, wish), Error);
        CHECK(host.console.questions == std::vector<std::string>{loss + ". Go on?"});
        CHECK(host.config() == before);
    }
    SECTION("'--yes' agrees to what was said")
    {
        Host host(lines);
        host_with_own_nodes(host, false);
        auto agreed = wish;
        agreed.yes = true;
        CHECK(host.run(install, agreed) == exit_done);
        CHECK(host.machine.said(loss));
        CHECK(host.config().find("lxc.") == std::string::npos);
    }
}

TEST_CASE("a program that says it has made a node and has not is not believed", "[install][ct]")
{
    Host host("dev0: /dev/nvidia0,mode=0666\ndev1: /dev/nvidia-uvm,mode=0666\n");
    host.machine.tree().erase("/dev/nvidia-uvm");
    host.machine.add_program("/usr/bin/nvidia-modprobe", [](const auto&) { return SysResult(); });
    try {
        host.install_it();
        FAIL("no error");
    } catch (const Error& error) {
        const std::string said = error.what();
        CHECK(said.find("'/dev/nvidia-uvm' is still not on the host") != std::string::npos);
    }
}

TEST_CASE("a driver that is loaded for a named node and does not make it is told of", "[install][ct]")
{
    Host host("dev0: /dev/dri/renderD128\n");
    CHECK_THROWS_AS(host.install_it(), Error);
    CHECK(ran_program(host.machine, "/sbin/modprobe -b nvidia-drm"));
    Host good("dev0: /dev/dri/renderD128\n");
    good.machine.add_program("/sbin/modprobe", [&](const auto&) -> SysResult {
        good.machine.at(Milliseconds(300), [&] {
            good.machine.add_node("0000:06:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
        });
        return {};
    });
    CHECK(good.install_it() == exit_done);
}

TEST_CASE("a container that cannot start is refused before anything is changed", "[install][ct]")
{
    for (const std::string lines :
         {"dev0: /dev/nvidia1\n", "dev0: nvidia0\n", "dev0: /dev/nvidia0\ndev1: /dev/nvidia0\n",
          "dev0: /dev/kfd\n", "lxc.mount.entry: /dev/nvidia4 dev/nvidia4 none bind,create=file\n"}) {
        Host host(lines);
        CHECK_THROWS_AS(host.install_it(), Error);
        CHECK(host.config() + "\n" == lines + (host.config().ends_with("\n") ? "\n" : ""));
        CHECK(host.ran("") == 0);
    }
    // An optional mount stops no start, and a thing that is no GPU may be plugged in later.
    Host optional("lxc.mount.entry: /dev/nvidia4 dev/nvidia4 none bind,optional,create=file\n");
    CHECK(optional.install_it() == exit_done);
    Host usb("dev0: /dev/ttyUSB0\ndev1: /dev/nvidia0\n");
    CHECK(usb.install_it() == exit_done);
    CHECK(usb.machine.said("container 901 cannot start while '/dev/ttyUSB0' (dev0) is not on the host"));
}

TEST_CASE("a group of another name in the container is told of, and a new card gets the container's own",
          "[install][ct]")
{
    const auto host_with = [](FakeSystem& machine, const std::string& lines, const std::string& groups) {
        add_host(machine);
        add_pct(machine);
        add_amd_gpu(machine);
        add_container(machine, vmid, lines);
        start_container(machine, vmid, init);
        machine.file("/proc/5001/root/etc/group", groups);
    };
    const auto plan_for = [](FakeSystem& machine) {
        InstallPlan plan;
        add_container_changes(survey_host(machine, {}), survey_container(machine, vmid), {{"0"}}, {}, plan);
        return plan;
    };
    const auto warns = [](const InstallPlan& plan, const std::string& text) {
        return std::any_of(plan.warnings.begin(), plan.warnings.end(),
                           [&](const Advice& one) { return to_string(one).find(text) != std::string::npos; });
    };
    FakeSystem machine("6.8.12-4-pve");
    host_with(machine, "dev0: /dev/dri/renderD128,gid=104\n",
              "root:x:0:\ninput:x:104:\nvideo:x:39:\nrender:x:993:\n");
    const auto plan = plan_for(machine);
    CHECK(warns(plan, "'gid=104' of 'dev0' is the group 'input' in the container, where 'render' is 993; "
                      "'pct set 901 --dev0 /dev/dri/renderD128,gid=993'"));
    CHECK(plan.changes.front().argv.at(4) == "/dev/dri/card1,gid=39");

    FakeSystem right("6.8.12-4-pve");
    host_with(right, "dev0: /dev/dri/renderD128,gid=104\n", "root:x:0:\nrender:x:104:\n");
    CHECK_FALSE(warns(plan_for(right), "'gid=104'"));
    FakeSystem nobodys("6.8.12-4-pve");
    host_with(nobodys, "dev0: /dev/dri/renderD128,gid=104\n", "root:x:0:\n");
    CHECK(warns(plan_for(nobodys), "is no group's in the container, which has neither 'render' nor 'video'; "
                                   "'pct set 901 --dev0 /dev/dri/renderD128,gid=104,mode=0666'"));
    FakeSystem linked("6.8.12-4-pve"); // a link may lead out of the container
    host_with(linked, "dev0: /dev/dri/renderD128,gid=104\n", "");
    linked.tree().erase("/proc/5001/root/etc/group");
    linked.file("/etc/group", "input:x:104:\n");
    linked.tree().set_link("/proc/5001/root/etc/group", "/etc/group");
    CHECK_FALSE(warns(plan_for(linked), "'gid=104'"));
}

TEST_CASE("capabilities of MIG instances are opened for reading, and those of the host's root stay its own",
          "[ct]")
{
    const auto facts_of = [](const std::string& lines, mode_t instance, mode_t config) {
        FakeSystem machine("6.8.12-4-pve");
        add_nvidia_host(machine, {.loaded = true});
        const std::string tree = "/proc/driver/nvidia/capabilities/";
        machine.file(tree + "mig/monitor", "DeviceFileMinor: 2\n");
        if (instance != 0) machine.file(tree + "gpu0/mig/gi1/ci0/access", "DeviceFileMinor: 13\n");
        for (const unsigned number : {1U, 2U, 13U}) {
            const auto path = "/dev/nvidia-caps/nvidia-cap" + std::to_string(number);
            machine.tree().set_device(path, {235, number});
            machine.set_rights(path, 0, number == 13 ? instance : number == 1 ? config : 0444);
        }
        const auto container = parse_lxc_config("unprivileged: 1\n" + lines);
        const auto host = read_node_host(machine, wanted_nodes(container), {});
        return foreign_nodes(container, host.nodes, host.capabilities);
    };
    const auto mount = [](const std::string& name) {
        return "lxc.mount.entry: /dev/" + name + " dev/" + name + " none bind\n";
    };
    const auto instance = mount("nvidia-caps/nvidia-cap13"), all = mount("nvidia-caps");
    CHECK(facts_of(instance, 0444, 0400).empty());
    CHECK(facts_of(all, 0444, 0400).empty());
    CHECK(facts_of(all, 0, 0400).empty()); // no MIG: nothing in it is for a container
    CHECK(facts_of(mount("nvidia-caps/nvidia-cap1"), 0444, 0400).empty());
    REQUIRE(facts_of(instance, 0400, 0400).size() == 1);
    const auto directory = facts_of(all, 0400, 0400);
    REQUIRE(directory.size() == 1);
    CHECK(directory[0].remedy.find("write 'devN: /dev/nvidia-caps/nvidia-cap13' instead") == 0);
}

TEST_CASE("a mount of the host's own capability stays root's when it becomes a devN", "[install][ct]")
{
    Host host("lxc.cgroup2.devices.allow: c 235:* rw\n"
              "lxc.mount.entry: /dev/nvidia-caps/nvidia-cap1 dev/nvidia-caps/nvidia-cap1 none bind\n");
    host.machine.tree().set_device("/dev/nvidia-caps/nvidia-cap1", {235, 1});
    host.machine.set_rights("/dev/nvidia-caps/nvidia-cap1", 0, 0400);
    CHECK(host.run(install, {.containers = {vmid}, .yes = true, .replace_hard_coded = true}) == exit_done);
    CHECK(host.config().find("dev0: /dev/nvidia-caps/nvidia-cap1,mode=0400") != std::string::npos);
    CHECK(host.config().find("lxc.") == std::string::npos);
}

TEST_CASE("a card that everybody may open on the host stays everybody's in the container", "[install][ct]")
{
    const auto value_of = [](mode_t mode) {
        Host host("lxc.cgroup2.devices.allow: c 226:* rw\n"
                  "lxc.mount.entry: /dev/dri/card1 dev/dri/card1 none bind,create=file\n");
        add_amd_gpu(host.machine);
        host.machine.set_rights("/dev/dri/card1", 0, mode);
        CHECK(host.run(install, {.containers = {vmid}, .yes = true, .replace_hard_coded = true}) ==
              exit_done);
        const auto config = host.config();
        return config.substr(config.find("dev0: "),
                             config.find('\n', config.find("dev0: ")) - config.find("dev0: "));
    };
    CHECK(value_of(0666) == "dev0: /dev/dri/card1,mode=0666");
    CHECK(value_of(0660) == "dev0: /dev/dri/card1,gid=44");
}

TEST_CASE("a node that has become another GPU's since the install is told of", "[install][ct]")
{
    Host host("dev0: /dev/dri/renderD128,mode=0666\n");
    add_amd_gpu(host.machine);
    CHECK(host.install_it() == exit_done);
    CHECK(read_manifest(host.machine).attachment(vmid)->owners.at("/dev/dri/renderD128") ==
          parse_pci_address("0000:09:00.0").value());
    const auto said = [&](const std::string& text) {
        const auto container = survey_container(host.machine, vmid);
        InstallPlan plan;
        add_container_changes(survey_host(host.machine, {}), container, {}, read_manifest(host.machine),
                              plan);
        return std::any_of(plan.warnings.begin(), plan.warnings.end(),
                           [&](const Advice& one) { return to_string(one).find(text) != std::string::npos; });
    };
    CHECK_FALSE(said("when the container was given it"));
    host.machine.tree().erase("/sys/bus/pci/devices/0000:09:00.0/drm/renderD128");
    host.machine.add_node("0000:09:00.0", "drm/renderD129", "/dev/dri/renderD129", {226, 129});
    host.machine.add_node("0000:06:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    CHECK(said("when the container was given it"));
    CHECK(said("it was of '0000:09:00.0' when the container was given it, and is of '0000:06:00.0' now: the "
               "other has '/dev/dri/renderD129'; 'pct set 901 --dev0 /dev/dri/renderD129,mode=0666'; "
               "'/dev/dri/by-path/pci-0000:09:00.0-render' stays the same"));
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
        return SysResult{SysResult::Kind::refused, 255, "locked\n", 0, ""};
    });
    CHECK_THROWS_AS(
        host.run(install, {.containers = {vmid}, .yes = true, .gpus = {"0"}, .replace_hard_coded = true}),
        Error);
    CHECK(host.config().find("memory: 4096") != std::string::npos);
    for (const auto* line : {"lxc.mount.entry: /dev/nvidia0", "lxc.cgroup2.devices.allow: c 195:* rwm"})
        CHECK(host.config().find(line) != std::string::npos);
}
