// The hook before and after the start of a container, on the fake machine.
#include "catch.hpp"
#include "containers/prepare.hpp"
#include "ct_hosts.hpp"
#include "ct_runs.hpp"
#include "recovery/recover_gpu.hpp"

#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;
using Json = nlohmann::json;

namespace {

Report post_start(FakeSystem& machine)
{
    return run_phase(machine, {vmid, Phase::post_start, ""});
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("a container's NVIDIA nodes are brought: driver, nodes, and each is seen", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(steps_of(report) == Texts{"load nvidia", "load nvidia-uvm", "create /dev/nvidia0",
                                    "create /dev/nvidiactl", "create /dev/nvidia-uvm", "wait /dev/nvidia0",
                                    "wait /dev/nvidiactl", "wait /dev/nvidia-uvm"});
    CHECK(ran(machine, "/sbin/modprobe -b nvidia"));
    CHECK(ran(machine, "/usr/bin/nvidia-modprobe -u -c 0"));
    CHECK(machine.elapsed() < Milliseconds(100));
    const auto again = pre_start(machine);
    CHECK(again.outcome == RunOutcome::nothing_to_do);
    CHECK(again.steps.empty());
}

TEST_CASE("the plan of a container is the contract's JSON, and a dry run changes nothing", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    add_container(machine, vmid, "dev0: /dev/nvidia0\n");
    const auto plan = plan_phase(machine, {.vmid = vmid});
    const auto json = Json::parse(plan_json(plan));
    CHECK(json["schema"] == "pve-gpu-hook/plan/1");
    CHECK(json["guest"] == "ct");
    CHECK(json["refused"].is_null());
    CHECK_FALSE(json.contains("hostpci"));
    CHECK(json["nodes"][0]["path"] == "/dev/nvidia0");
    CHECK(json["nodes"][0]["from"] == "dev0");
    CHECK(json["nodes"][0]["present"] == false);
    CHECK(json["steps"] == Json::parse(R"([{"op": "load", "target": "nvidia"},
        {"op": "create", "target": "/dev/nvidia0"}, {"op": "wait", "target": "/dev/nvidia0"}])"));
    CHECK(machine.effects().empty());
}

TEST_CASE(
    "seed 004: a container that starts before the host has its nodes waits for them, no longer than it takes",
    "[ct][seeds]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.nvidia_modprobe = false});
    add_container(machine, vmid,
                  "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind\n"
                  "lxc.cgroup2.devices.allow: c 195:* rwm\n");
    machine.at(Milliseconds(7000), [&] { machine.tree().set_device("/dev/nvidia0", {195, 0}); });
    const auto report = pre_start(machine);
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(report.elapsed >= Milliseconds(7000));
    CHECK(report.elapsed < Milliseconds(7100));
}

TEST_CASE("seed 004: nodes that never come are a warning with the state of the host, and the start goes on",
          "[ct][seeds]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.nvidia_modprobe = false});
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(report.elapsed >= Milliseconds(30'000));
    CHECK(report.elapsed < Milliseconds(31'000));
    CHECK(machine.said("'/dev/nvidia0', '/dev/nvidiactl', '/dev/nvidia-uvm' are not there after 30 s"));
    CHECK(machine.said("host: /dev has no device node of a GPU"));
    CHECK(machine.said("host: major numbers: drm 226, nvidia 195"));
    CHECK(machine.said("host: modules: nvidia, nvidia_uvm (nvidia is version 550.90.07)"));
    CHECK(machine.said("host: GPU '0000:06:00.0' (10de:2204) has driver 'nvidia'"));
    CHECK(machine.said("host: nvidia-persistenced does not run"));
}

TEST_CASE("the same fails the start where the administrator wants it so", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.nvidia_modprobe = false});
    add_container(machine, vmid, mounted_nvidia);
    machine.file("/etc/pve-gpu-hook/settings.json",
                 R"({"timeouts": {"nodes": 3}, "guests": {"901": {"on_timeout": "fail"}}})");
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 1);
    CHECK(report.elapsed < Milliseconds(3100));
    CHECK(machine.said("host: /dev has no device node of a GPU"));
}

TEST_CASE("a driver whose loading hangs does not hold up the start for longer than the deadline", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    machine.hang_write("/sbin/modprobe");
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(report.elapsed < Milliseconds(31'000));
    CHECK(machine.said("'/sbin/modprobe -b nvidia' did not end within 30 s and was killed"));
}

TEST_CASE("a node with the number of an earlier boot is made anew", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true, .uvm_major = 508});
    machine.tree().set_device("/dev/nvidia-uvm", {511, 0});
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(steps_of(report) == Texts{"create /dev/nvidia-uvm", "wait /dev/nvidia-uvm"});
    CHECK(machine.device_number("/dev/nvidia-uvm")->major == 508);
}

TEST_CASE("a hard-coded number that the host has no more is a warning that says what to write", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.uvm_major = 511});
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(machine.said("'/dev/nvidia-uvm' (lxc.mount.entry) has the number 511:0 on this host now, and the "
                       "container may not open it: no 'lxc.cgroup2.devices.allow' covers it; no driver has "
                       "the number of 'c 508:* rwm' (line 2); write 'devN: /dev/nvidia-uvm'"));
    CHECK_FALSE(machine.said("'/dev/nvidia0' (lxc.mount.entry) has the number"));
}

TEST_CASE("a node that nobody in an unprivileged container may open is told of, and how to give it one",
          "[ct]")
{
    const std::string mount = "lxc.cgroup2.devices.allow: c 226:* rwm\n"
                              "lxc.mount.entry: /dev/dri/card0 dev/dri/card0 none bind,create=file\n";
    const auto warns = [](const std::string& lines, mode_t mode) {
        FakeSystem machine;
        add_arc(machine);
        machine.add_node("0000:03:00.0", "drm/card0", "/dev/dri/card0", {226, 0});
        machine.set_rights("/dev/dri/card0", 0, mode);
        add_container(machine, vmid, lines);
        CHECK(pre_start(machine).exit_status() == 0);
        return machine.said("belongs to nobody in the unprivileged container");
    };
    CHECK(warns("unprivileged: 1\n" + mount, 0660));
    CHECK(warns("lxc.idmap: u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n" + mount, 0660));
    CHECK(warns("unprivileged: 1\nlxc.mount.entry: /dev/dri dev/dri none bind,create=dir\n", 0660));
    CHECK_FALSE(warns("unprivileged: 1\n" + mount, 0666));
    CHECK_FALSE(warns(mount, 0660));
    CHECK_FALSE(warns("unprivileged: 0\n" + mount, 0660));
    CHECK_FALSE(warns("unprivileged: 1\ndev0: /dev/dri/card0\n", 0660));
    // Its group is mapped onto one of the container's, as administrators do it by hand.
    CHECK_FALSE(warns("lxc.idmap: u 0 100000 65536\nlxc.idmap: g 0 0 1\n" + mount, 0660));
    CHECK(warns("lxc.idmap: u 0 100000 65536\nlxc.idmap: g 0 0 1\n" + mount, 0600));
}

TEST_CASE("a devN node follows its number, so no number in the configuration is stale", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true, .uvm_major = 511});
    add_container(machine, vmid, "dev0: /dev/nvidia-uvm\n");
    CHECK(pre_start(machine).outcome == RunOutcome::nothing_to_do);
}

TEST_CASE("at boot the same is a warning: the other containers' nodes are made", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    add_arc(machine, {.driver = "vfio-pci"});
    machine.open_vfio("0000:03:00.0", 4711, "kvm", 101);
    add_container(machine, 901, "dev0: /dev/dri/by-path/pci-0000:03:00.0-render\n");
    add_container(machine, 902, "[pve:pending]\ndev0: /dev/nvidia0\n");
    add_container(machine, 903, "template: 1\ndev0: /dev/nvidia-modeset\n");
    add_container(machine, 904, mounted_nvidia);
    prepare_nodes_at_boot(machine);
    CHECK(machine.said("is in use by VM 101"));
    CHECK(machine.device_number("/dev/nvidia0"));
    CHECK(machine.said("'/dev/nvidia0' is there (container 902, dev0)"));
    CHECK_FALSE(machine.exists("/dev/nvidia-modeset"));
    CHECK_FALSE(machine.exists("/dev/nvidia-uvm")); // mounted: pre-start is in time for it
    CHECK(machine.elapsed() < Milliseconds(100));
}

TEST_CASE("a host without containers that name GPU nodes is not touched at boot", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    add_container(machine, 901, "hostname: web\ndev0: /dev/ttyUSB0\n");
    prepare_nodes_at_boot(machine);
    CHECK(machine.effects().empty());
    CHECK(machine.said().empty());
}

TEST_CASE("a cluster file system that hangs at boot is an error, not a wait for ever", "[ct]")
{
    FakeSystem machine;
    machine.hang_read("/etc/pve/lxc");
    CHECK_THROWS_AS(prepare_nodes_at_boot(machine), Error);
    CHECK(machine.elapsed() <= Milliseconds(10'000));
}

TEST_CASE("no driver is loaded while a VM's GPU is being recovered", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    machine.hold_lock("/run/pve-gpu-hook/lock", Milliseconds(60'000));
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK_FALSE(ran(machine, "/sbin/modprobe -b nvidia"));
    CHECK(machine.elapsed() < Milliseconds(31'000));
}

TEST_CASE("a container without GPU nodes, and one whose strategy is off, cost nothing", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    add_container(machine, vmid, "hostname: web\n");
    CHECK(pre_start(machine).outcome == RunOutcome::nothing_to_do);
    add_container(machine, vmid, mounted_nvidia);
    machine.file("/etc/pve-gpu-hook/settings.json", R"({"guests": {"901": {"strategy": "off"}}})");
    CHECK(pre_start(machine).outcome == RunOutcome::nothing_to_do);
    CHECK_FALSE(ran(machine, "/sbin/modprobe -b nvidia"));
}

TEST_CASE("a capability's node is made by the file of the driver that has its minor", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid, "dev0: /dev/nvidia-caps/nvidia-cap1\n");
    CHECK(pre_start(machine).outcome == RunOutcome::recovered);
    CHECK(ran(machine, "/usr/bin/nvidia-modprobe -f /proc/driver/nvidia/capabilities/mig/config"));
}

// --- nothing is waited for that nobody makes ---

TEST_CASE("nodes whose driver could not be loaded are not waited for", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.nvidia_modprobe = false});
    for (const auto* module : {"nvidia", "nvidia-uvm"})
        machine.answer_run(std::string("/sbin/modprobe -b ") + module, 1, "modprobe: FATAL: not found\n");
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(report.elapsed < Milliseconds(1000));
    CHECK(machine.said("'/dev/nvidia0', '/dev/nvidiactl', '/dev/nvidia-uvm' are not there, and not waited "
                       "for, because what makes them failed"));
    CHECK(machine.said("host: /dev has no device node of a GPU"));
    CHECK(report.steps.back().result == StepResult::skipped);
}

TEST_CASE("a start that is to fail without its nodes fails at once then", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.nvidia_modprobe = false});
    machine.answer_run("/sbin/modprobe -b nvidia", 1, "modprobe: FATAL: not found\n");
    add_container(machine, vmid, "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,create=file\n");
    machine.file("/etc/pve-gpu-hook/settings.json", R"({"guests": {"901": {"on_timeout": "fail"}}})");
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 1);
    CHECK(report.elapsed < Milliseconds(1000));
}

TEST_CASE("a node that nvidia-modprobe refuses to make is not waited for, and the others are", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    machine.answer_run("/usr/bin/nvidia-modprobe -c 0", 1, "could not create\n");
    add_container(machine, vmid, mounted_nvidia);
    const auto report = pre_start(machine);
    CHECK(report.elapsed < Milliseconds(1000));
    CHECK(machine.said("'/dev/nvidia0' is not there, and not waited for"));
    CHECK(machine.device_number("/dev/nvidiactl"));
    CHECK(machine.device_number("/dev/nvidia-uvm"));
}

TEST_CASE("a node of /dev/dri is waited for while one of the drivers that could make it was loaded", "[ct]")
{
    const std::string arc = "pci:v00008086d000056A6", other = "pci:v000010DEd00002204";
    for (const bool all_refused : {true, false}) {
        FakeSystem machine;
        add_arc(machine, {.driver = ""});
        add_slot(machine, {.driver = ""});
        machine.file("/sys/bus/pci/devices/0000:03:00.0/modalias", arc + "\n");
        machine.file("/sys/bus/pci/devices/0000:06:00.0/modalias", other + "\n");
        machine.answer_run("/sbin/modprobe -b " + arc, 1, "modprobe: ERROR: could not insert 'i915'\n");
        machine.answer_run("/sbin/modprobe -b " + other, all_refused ? 1 : 0, "");
        add_container(machine, vmid,
                      "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,create=file\n");
        const auto report = pre_start(machine);
        CHECK(report.exit_status() == 0);
        CHECK((report.elapsed < Milliseconds(1000)) == all_refused);
    }
}

// --- after the start ---

TEST_CASE("seed 004: after a start without its nodes on the host the container's own /dev is listed",
          "[ct][seeds]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    add_container(machine, vmid, mounted_nvidia);
    start_container(machine, vmid, 5000);
    give_node(machine, 5000, "/dev/nvidia0", {195, 0});
    const auto report = post_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(machine.said("the host does not have '/dev/nvidia0' (lxc.mount.entry, 195:0 in the container), "
                       "'/dev/nvidiactl' (lxc.mount.entry), '/dev/nvidia-uvm' (lxc.mount.entry), which the "
                       "container's configuration names; 'pve-gpu-install check --ct 901' says why"));
    CHECK(machine.said("container: /dev has nvidia0 195:0"));
}

TEST_CASE("after the start an empty directory, and a devN that went away since, are told of too", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid,
                  "dev0: /dev/dri/renderD128\n"
                  "lxc.mount.entry: /dev/nvidia-caps dev/nvidia-caps none bind,optional,create=dir\n");
    start_container(machine, vmid, 5000);
    post_start(machine);
    CHECK(machine.said("the host does not have '/dev/dri/renderD128' (dev0), anything in '/dev/nvidia-caps' "
                       "(lxc.mount.entry)"));
    CHECK(machine.said("container: /dev has no device node of a GPU"));
}

TEST_CASE("after the start a container that has its nodes and the same version is left in peace", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid, mounted_nvidia);
    start_container(machine, vmid, 5000);
    give_node(machine, 5000, "/dev/nvidia0", {195, 0});
    give_node(machine, 5000, "/dev/nvidiactl", {195, 255});
    give_node(machine, 5000, "/dev/nvidia-uvm", {508, 0});
    machine.file("/proc/5000/root/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.90.07", "");
    const auto report = post_start(machine);
    CHECK(report.outcome == RunOutcome::nothing_to_do);
    CHECK(machine.said().empty());
}

TEST_CASE("after the start a node that is missing or has another number is told of, with the listing", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid, mounted_nvidia);
    start_container(machine, vmid, 5000);
    give_node(machine, 5000, "/dev/nvidia0", {195, 0});
    give_node(machine, 5000, "/dev/nvidia-uvm", {511, 0});
    const auto report = post_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(machine.said(
        "'/dev/nvidiactl' (lxc.mount.entry) is 195:255 on the host and missing in the container"));
    CHECK(
        machine.said("'/dev/nvidia-uvm' (lxc.mount.entry) is 508:0 on the host and 511:0 in the container"));
    CHECK(machine.said("container: /dev has nvidia-uvm 511:0, nvidia0 195:0"));
}

TEST_CASE("after the start libraries of another version than the module are told of, with both", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid, "dev0: /dev/nvidia0\n");
    start_container(machine, vmid, 5000);
    give_node(machine, 5000, "/dev/nvidia0", {195, 0});
    machine.file("/proc/5000/root/usr/lib64/libnvidia-ml.so.550.54.14", "");
    machine.file("/proc/5000/root/usr/lib64/libnvidia-ml.so.1", "");
    post_start(machine);
    CHECK(machine.said(
        "the container's NVIDIA libraries are of version 550.54.14 "
        "('/usr/lib64/libnvidia-ml.so.550.54.14') and the host's module is of version 550.90.07"));
    CHECK(machine.said("container: /dev has nvidia0 195:0"));
}

TEST_CASE("a container that does not let itself be looked at costs seconds and no more", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid, "dev0: /dev/nvidia0\n");
    start_container(machine, vmid, 5000);
    machine.hang_read("/proc/5000/root/dev");
    const auto report = post_start(machine);
    CHECK(report.exit_status() == 0);
    CHECK(report.elapsed < Milliseconds(5000));
    CHECK(machine.said("cannot inspect the container"));
}

TEST_CASE("a process that only claims to be the container's first is not taken for it", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, vmid, "dev0: /dev/nvidia0\n");
    start_container(machine, vmid, 5000);
    machine.file("/sys/fs/cgroup/lxc/901/ns/cgroup.procs", "6000\n");
    machine.add_process(6000, "systemd");
    machine.file("/proc/6000/status", "NSpid:\t6000\t77\t1\n"); // of a container in the container
    give_node(machine, 5000, "/dev/nvidia0", {195, 0});
    CHECK(post_start(machine).outcome == RunOutcome::nothing_to_do);
}

// --- a VM takes the card ---

TEST_CASE("a VM that takes the card of a running container says so; a process that has it open stops it",
          "[ct]")
{
    FakeSystem machine;
    add_arc(machine);
    machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    add_guest(machine, 101, "hostpci0: 0000:03:00.0\nhostpci1: 0000:04:00.0\n");
    add_container(machine, 901, "dev0: /dev/dri/renderD128\n");
    const Request request{101, Phase::pre_start, ""};
    CHECK(plan_phase(machine, request).all_warnings().empty()); // it does not run
    start_container(machine, 901, 5000);
    const auto plan = plan_phase(machine, request);
    CHECK_FALSE(plan.refused);
    REQUIRE(plan.all_warnings().size() == 1);
    CHECK(to_string(plan.all_warnings()[0])
              .starts_with("container 901 is running and is given '/dev/dri/renderD128' of '0000:03:00.0'; "
                           "it loses the card"));
    // So does one that has the whole directory.
    add_container(machine, 901, "lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n");
    const auto whole = plan_phase(machine, request).all_warnings();
    REQUIRE(whole.size() == 1);
    CHECK(to_string(whole[0]).starts_with(
        "container 901 is running and is given '/dev/dri' of '0000:03:00.0'"));
    machine.add_process(5001, "plex", {{7, {"/dev/dri/renderD128", DeviceNumber{226, 128}, ""}}});
    machine.file("/proc/5001/cgroup", "0::/lxc/901/ns/system.slice/plex.service\n");
    const auto refused = plan_phase(machine, request);
    REQUIRE(refused.refused);
    CHECK(refused.refused->advice.fact.find("container 901 (pid 5001, plex)") != std::string::npos);
}
