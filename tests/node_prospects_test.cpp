// What becomes of a container's node that is missing: who could bring it, and who has taken it.
#include "catch.hpp"
#include "containers/node_plan.hpp"
#include "ct_hosts.hpp"
#include "ct_runs.hpp"
#include "recovery/recover_gpu.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

// An Arc card that VM 101 has.
void add_vms_arc(FakeSystem& machine)
{
    add_arc(machine, {.driver = "vfio-pci"});
    machine.open_vfio("0000:03:00.0", 4711, "kvm", 101);
}

// The host's own GPU: 'amdgpu' has it, with these nodes ("card1", "renderD128").
void add_hosts_gpu(FakeSystem& machine, const std::vector<std::string>& nodes,
                   const std::string& driver = "amdgpu")
{
    machine.add_driver("amdgpu", {"1002:73df"});
    machine.add_bridge("", "0000:00:03.0", {.secondary_bus = 0x09});
    machine.add_function("0000:00:03.0", "0000:09:00.0",
                         {.vendor = 0x1002, .device = 0x73df, .class_code = 0x030000, .driver = driver});
    for (unsigned minor = 0; minor < nodes.size(); ++minor)
        machine.add_node("0000:09:00.0", "drm/" + nodes[minor], "/dev/dri/" + nodes[minor], {226, minor});
}

std::string mount(const std::string& path, const std::string& options = "bind")
{
    return "lxc.cgroup2.devices.allow: c 226:* rwm\nlxc.cgroup2.devices.allow: c 195:* rwm\n"
           "lxc.mount.entry: " +
           path + " " + path.substr(1) + " none " + options + "\n";
}

} // namespace

TEST_CASE("a container whose GPU a VM has on vfio-pci right now is refused, and the VM is named", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine);
    machine.write("/sys/bus/pci/devices/0000:06:00.0/driver_override", "vfio-pci", Milliseconds(1));
    machine.write("/sys/bus/pci/drivers/vfio-pci/bind", "0000:06:00.0", Milliseconds(1));
    machine.open_vfio("0000:06:00.0", 4711, "kvm", 101);
    add_container(machine, vmid, mount("/dev/nvidia0") + mount("/dev/nvidiactl"));
    const auto report = pre_start(machine);
    CHECK(report.exit_status() == 1);
    CHECK(report.outcome == RunOutcome::refused);
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::in_use);
    CHECK(
        machine.said("'/dev/nvidia0' (lxc.mount.entry) cannot be there: the GPU '0000:06:00.0' is in use by "
                     "VM 101 (pid 4711, kvm); stop it first"));
    CHECK(report.steps.empty());
    CHECK_FALSE(ran(machine, "/sbin/modprobe -b nvidia"));
}

TEST_CASE("an idle GPU on vfio-pci is told of; the start is neither refused nor delayed", "[ct]")
{
    FakeSystem machine;
    add_arc(machine, {.driver = "vfio-pci"});
    add_container(machine, vmid, "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind\n");
    const auto report = pre_start(machine);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(machine.said("the GPU is on vfio-pci, where no container can use it"));
    CHECK(machine.elapsed() < Milliseconds(100));
}

TEST_CASE("a number that the host cannot have is a wrong line, whoever has the GPU", "[ct]")
{
    FakeSystem machine;
    add_vms_arc(machine);
    add_container(machine, vmid,
                  "lxc.mount.entry: /dev/dri/renderD140 dev/dri/renderD140 none bind\n"
                  "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind\n");
    const auto report = pre_start(machine);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(machine.said("'/dev/dri/renderD140' (lxc.mount.entry) is not there, and no GPU of this host can"));
    CHECK(machine.said("'/dev/nvidia0' (lxc.mount.entry) is not there, and no GPU of this host can"));
    CHECK(machine.elapsed() < Milliseconds(100));
}

TEST_CASE("the second GPU's node is not a VM's that has the first, while the driver can still bring it",
          "[ct]")
{
    FakeSystem machine;
    add_vms_arc(machine);
    add_hosts_gpu(machine, {});
    machine.at(Milliseconds(500), [&] {
        machine.add_node("0000:09:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    });
    add_container(machine, vmid,
                  "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind\n"
                  "lxc.cgroup2.devices.allow: c 226:* rwm\n");
    CHECK(pre_start(machine).outcome == RunOutcome::recovered);
}

TEST_CASE("an unbound GPU's driver is found by its modalias, as udev finds it", "[ct]")
{
    FakeSystem machine;
    add_arc(machine, {.driver = ""});
    machine.file("/sys/bus/pci/devices/0000:03:00.0/modalias", "pci:v00008086d000056A6bc03\n");
    add_container(machine, vmid, "lxc.mount.entry: /dev/dri/card0 dev/dri/card0 none bind\n");
    CHECK(steps_of(pre_start(machine)).front() == "load pci:v00008086d000056A6bc03");
}

TEST_CASE("a card's number that has changed since the boot is no VM's fault: the container starts", "[ct]")
{
    FakeSystem machine;
    add_vms_arc(machine);
    add_hosts_gpu(machine, {"card1", "renderD128"}); // the firmware's framebuffer was card0
    for (const auto* options : {"bind,optional,create=file", "bind,create=file"}) {
        add_container(machine, vmid, mount("/dev/dri/card0", options) + mount("/dev/dri/renderD128"));
        const auto report = pre_start(machine);
        CHECK(report.exit_status() == 0);
        CHECK(report.outcome == RunOutcome::warned);
    }
    CHECK(machine.said("'/dev/dri/card0' (lxc.mount.entry) is not there; it may be a device node of the GPU "
                       "'0000:03:00.0', which is in use by VM 101 (pid 4711, kvm); write a device node that "
                       "is there ('/dev/dri/card1') instead, or stop that first"));
    CHECK(machine.elapsed() < Milliseconds(100));
}

TEST_CASE("another GPU's render number, or NVIDIA's, is told of and left to LXC while the host has a GPU too",
          "[ct]")
{
    FakeSystem machine;
    add_vms_arc(machine);
    add_hosts_gpu(machine, {"card1", "renderD128"});
    add_container(machine, vmid, mount("/dev/dri/renderD129"));
    CHECK(pre_start(machine).exit_status() == 0);
    CHECK(machine.said("write a device node that is there ('/dev/dri/renderD128') instead"));

    FakeSystem nvidia;
    add_nvidia_host(nvidia, {.loaded = true});
    nvidia.add_bridge("", "0000:00:03.0", {.secondary_bus = 0x09});
    nvidia.add_function("0000:00:03.0", "0000:09:00.0",
                        {.vendor = 0x10de, .device = 0x2204, .class_code = 0x030000, .driver = "vfio-pci"});
    nvidia.open_vfio("0000:09:00.0", 4711, "kvm", 101);
    add_container(nvidia, vmid, mount("/dev/nvidia1"));
    CHECK(pre_start(nvidia).exit_status() == 0);
    CHECK(nvidia.said("write a device node that is there ('/dev/nvidia0') instead"));
}

TEST_CASE("what is optional never stops a container, though a VM has the only GPU; LXC leaves it out", "[ct]")
{
    for (const std::string path :
         {"/dev/dri/renderD128", "/dev/dri", "/dev/dri/card0", "/dev/dri/by-path/pci-0000:03:00.0-render"}) {
        FakeSystem machine;
        add_vms_arc(machine);
        add_container(machine, vmid, mount(path, "rw,bind,optional"));
        CHECK(pre_start(machine).exit_status() == 0);
        CHECK(
            machine.said("'" + path + "' (lxc.mount.entry) is not there: the GPU '0000:03:00.0' is in use " +
                         "by VM 101 (pid 4711, kvm); stop it first, or take the line out of the container"));
    }
}

TEST_CASE("only what cannot be right is refused: the one GPU is a VM's, or the address names it", "[ct]")
{
    const auto refuses = [](const std::string& path, bool with_own_gpu) {
        FakeSystem machine;
        add_vms_arc(machine);
        if (with_own_gpu) add_hosts_gpu(machine, {"card1", "renderD128"});
        add_container(machine, vmid, mount(path));
        const auto report = pre_start(machine);
        CHECK(report.exit_status() == (report.plan.refused ? 1 : 0));
        if (!report.plan.refused) return false;
        CHECK(machine.said("'" + path + "' (lxc.mount.entry) cannot be there: the GPU '0000:03:00.0'"));
        return true;
    };
    CHECK(refuses("/dev/dri/renderD128", false));
    CHECK(refuses("/dev/dri", false));
    CHECK(refuses("/dev/dri/by-path/pci-0000:03:00.0-render", false));
    CHECK(refuses("/dev/dri/by-path/pci-0000:03:00.0-card", true));
    // A card's node can be a firmware framebuffer's or a USB display's: LXC finds out.
    CHECK_FALSE(refuses("/dev/dri/card0", false));
    CHECK_FALSE(refuses("/dev/dri/renderD129", true));
    CHECK_FALSE(refuses("/dev/dri/card0", true));
}

TEST_CASE("an idle GPU on vfio-pci could be the one that is meant: that a VM has another refuses nothing",
          "[ct]")
{
    FakeSystem machine;
    add_vms_arc(machine);
    add_hosts_gpu(machine, {}, "vfio-pci");
    add_container(machine, vmid, mount("/dev/dri/renderD128"));
    CHECK(pre_start(machine).exit_status() == 0);
    CHECK(machine.said(
        "'/dev/dri/renderD128' (lxc.mount.entry) is not there; it may be a device node of the GPU "
        "'0000:03:00.0', which is in use by VM 101 (pid 4711, kvm); stop it first, or take "
        "the line out of the container"));
}

TEST_CASE("a number of billions in a container's line costs no time", "[ct]")
{
    std::vector<HostGpu> gpus(2);
    gpus[0].id = "10de:2204";
    gpus[0].driver = "nvidia";
    gpus[0].nvidia = 0;
    for (const auto* path :
         {"/dev/nvidia4294967295", "/dev/dri/renderD4294967295", "/dev/dri/card4294967295"}) {
        const auto node = parse_gpu_node(path);
        REQUIRE(node);
        WantedNode wanted;
        wanted.node = *node;
        const auto begin = std::chrono::steady_clock::now();
        const auto obstacle = why_missing(wanted, gpus);
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
        REQUIRE(obstacle);
        CHECK(obstacle->why.remedy == "correct the line");
    }
}

TEST_CASE("a render node of NVIDIA's driver is brought by nvidia-drm", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    machine.add_program("/sbin/modprobe", [&machine](const auto& arguments) -> SysResult {
        if (arguments.at(2) == "nvidia-drm") {
            machine.tree().add_directory("/sys/module/nvidia_drm");
            machine.add_node("0000:06:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
        }
        return {};
    });
    add_container(machine, vmid, mount("/dev/dri/renderD128"));
    const auto report = pre_start(machine);
    CHECK(steps_of(report) == std::vector<std::string>{"load nvidia-drm", "wait /dev/dri/renderD128"});
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(machine.elapsed() < Milliseconds(100));
    // Another of its nodes that is missing: the module is there, so nothing is loaded again.
    add_container(machine, vmid, mount("/dev/dri/card0"));
    CHECK(steps_of(pre_start(machine)) == std::vector<std::string>{"wait /dev/dri/card0"});
}

TEST_CASE("nvidia-drm is not loaded for a node that another driver is about to make", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_hosts_gpu(machine, {}); // its driver is still at it
    add_container(machine, vmid, mount("/dev/dri/renderD128"));
    CHECK(steps_of(pre_start(machine)) == std::vector<std::string>{"wait /dev/dri/renderD128"});
}

TEST_CASE("a server's own display has no render node, so none is waited for", "[ct]")
{
    const auto steps = [](const std::string& driver, const std::string& path) {
        FakeSystem machine;
        machine.add_driver("ast", {"1a03:2000"});
        machine.add_bridge("", "0000:00:05.0", {.secondary_bus = 0x0a});
        machine.add_function("0000:00:05.0", "0000:0a:00.0",
                             {.vendor = 0x1a03, .device = 0x2000, .class_code = 0x030000, .driver = driver});
        machine.file("/sys/bus/pci/devices/0000:0a:00.0/modalias", "pci:v00001A03d00002000\n");
        if (!driver.empty()) machine.add_node("0000:0a:00.0", "drm/card0", "/dev/dri/card0", {226, 0});
        add_container(machine, vmid, mount(path));
        const auto report = pre_start(machine);
        CHECK(report.exit_status() == 0);
        if (report.steps.empty()) CHECK(machine.said("no GPU of this host can have it; correct the line"));
        return steps_of(report).size();
    };
    CHECK(steps("ast", "/dev/dri/renderD128") == 0);
    CHECK(steps("", "/dev/dri/renderD128") == 0);
    CHECK(steps("ast", "/dev/dri/by-path/pci-0000:0a:00.0-render") == 0);
    CHECK(steps("", "/dev/dri/card0") == 2); // load, wait
}

TEST_CASE("a GPU whose driver has made its display's node without a render node makes none later", "[ct]")
{
    FakeSystem machine;
    add_hosts_gpu(machine, {"card0"});
    add_container(machine, vmid, mount("/dev/dri/renderD128"));
    CHECK(pre_start(machine).steps.empty());
    CHECK(machine.elapsed() < Milliseconds(100));
}

TEST_CASE("a VM's card is what a render node is waiting for, though the server has a display of its own",
          "[ct]")
{
    FakeSystem machine;
    add_vms_arc(machine);
    add_hosts_gpu(machine, {"card0"});
    add_container(machine, vmid, mount("/dev/dri/renderD128"));
    const auto report = pre_start(machine);
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->advice.fact.find("is in use by VM 101") != std::string::npos);
}

TEST_CASE("a node of NVIDIA's driver while nouveau has the GPU: the driver is named, and what to do", "[ct]")
{
    FakeSystem machine;
    add_slot(machine); // nouveau has it
    add_container(machine, vmid, "dev0: /dev/nvidia0\n" + mount("/dev/nvidiactl"));
    const auto report = pre_start(machine);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(report.steps.empty());
    for (const std::string line : {"'/dev/nvidia0' (dev0)", "'/dev/nvidiactl' (lxc.mount.entry)"})
        CHECK(machine.said(line +
                           " is not there: the GPU '0000:06:00.0' has the driver 'nouveau', which makes no "
                           "such device node; install NVIDIA's driver on the host, write 'blacklist nouveau' "
                           "into a file of /etc/modprobe.d, run 'update-initramfs -u' and reboot"));
    CHECK_FALSE(machine.said("no GPU of this host can have it"));
    CHECK(machine.elapsed() < Milliseconds(100));
}

TEST_CASE("nouveau beside NVIDIA's driver, a VM's card and a wrong number are told apart", "[ct]")
{
    const auto warning = [](const std::string& driver, const std::string& path) {
        FakeSystem machine;
        add_slot(machine); // nouveau
        machine.add_driver("nvidia", {});
        machine.add_bridge("", "0000:00:03.0", {.secondary_bus = 0x09});
        machine.add_function("0000:00:03.0", "0000:09:00.0",
                             {.vendor = 0x10de, .device = 0x2684, .class_code = 0x030000, .driver = driver});
        if (driver == "nvidia") {
            machine.tree().add_directory("/sys/module/nvidia");
            machine.file("/proc/driver/nvidia/gpus/0000:09:00.0/information", "Device Minor: \t 0\n");
        }
        if (driver == "vfio-pci") machine.open_vfio("0000:09:00.0", 4711, "kvm", 101);
        add_container(machine, vmid, mount(path));
        const auto plan = plan_phase(machine, {.vmid = vmid});
        CHECK_FALSE(plan.refused);
        REQUIRE_FALSE(plan.all_warnings().empty());
        return to_string(plan.all_warnings().front());
    };
    CHECK(warning("nvidia", "/dev/nvidia1").find("'0000:06:00.0' has the driver 'nouveau'") !=
          std::string::npos);
    CHECK(warning("vfio-pci", "/dev/nvidia0").find("it may be a device node of the GPU '0000:09:00.0'") !=
          std::string::npos);
    CHECK(warning("nvidia", "/dev/nvidia7").find("no GPU of this host can have it") != std::string::npos);
}

TEST_CASE("AMD's compute node is amdgpu's alone: with radeon, or a stub, it is not waited for", "[ct]")
{
    for (const std::string driver : {"radeon", "pci-stub"}) {
        FakeSystem machine;
        machine.add_driver("radeon", {});
        machine.add_driver("pci-stub", {});
        add_hosts_gpu(machine, {}, driver);
        add_container(machine, vmid,
                      "lxc.cgroup2.devices.allow: a\nlxc.mount.entry: /dev/kfd dev/kfd none bind\n");
        const auto report = pre_start(machine);
        CHECK(report.steps.empty());
        CHECK(machine.said(
            "'/dev/kfd' (lxc.mount.entry) is not there: the GPU '0000:09:00.0' has the driver '" + driver +
            "', which makes no such device node"));
    }
}

TEST_CASE("a node of NVIDIA's that outlived its GPU does not hide that a VM has the only one", "[ct]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    machine.write("/sys/bus/pci/drivers/nvidia/unbind", "0000:06:00.0", Milliseconds(1));
    machine.write("/sys/bus/pci/devices/0000:06:00.0/driver_override", "vfio-pci", Milliseconds(1));
    machine.write("/sys/bus/pci/drivers/vfio-pci/bind", "0000:06:00.0", Milliseconds(1));
    machine.open_vfio("0000:06:00.0", 4711, "kvm", 101);
    REQUIRE(machine.device_number("/dev/nvidia0")); // the module is still loaded, and has its number
    add_container(machine, vmid, "dev0: /dev/nvidia0\n");
    const auto report = pre_start(machine);
    REQUIRE(report.plan.refused);
    CHECK(machine.said("'/dev/nvidia0' (dev0) cannot be there: the GPU '0000:06:00.0' is in use by VM 101"));
}
