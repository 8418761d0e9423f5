#include "check_cases.hpp"
#include "ct_hosts.hpp"
#include "machine/paths.hpp"

namespace pvegpu::testing {
namespace {

const std::string ct = "container 901";
constexpr pid_t init = 5001;

const std::string with_devices = "hostname: plex\n"
                                 "hookscript: local:snippets/pve-gpu-hook\n"
                                 "dev0: /dev/nvidia0\n"
                                 "dev1: /dev/nvidiactl\n";

void enable_boot_unit(FakeSystem& machine)
{
    machine.tree().set_link(std::string(paths::nodes_unit_enabled), std::string(paths::nodes_unit));
}

// A second card, with NVIDIA's driver, for the containers.
Build host_with(const std::string& lines, bool loaded = true)
{
    return [=](FakeSystem& machine) {
        add_nvidia_host(machine, {.loaded = loaded});
        add_container(machine, 901, lines);
        enable_boot_unit(machine);
    };
}

Build running_with(const std::string& lines, const std::vector<std::string>& inside)
{
    return [=](FakeSystem& machine) {
        host_with(lines)(machine);
        start_container(machine, 901, init);
        for (const auto& path : inside)
            if (const auto number = machine.device_number(path)) give_node(machine, init, path, *number);
    };
}

// The card is on vfio-pci for VM 101, which does not run.
void on_vfio(FakeSystem& machine)
{
    host_with(with_devices, false)(machine);
    machine.write("/sys/bus/pci/devices/0000:06:00.0/driver_override", "vfio-pci", Milliseconds(1));
    machine.write("/sys/bus/pci/drivers/vfio-pci/bind", "0000:06:00.0", Milliseconds(1));
}

// The host's driver has VM 101's GPU while the VM is stopped.
Build native_gpu_and(const std::string& lines)
{
    return [=](FakeSystem& machine) {
        machine.write("/sys/bus/pci/drivers/vfio-pci/unbind", "0000:03:00.0", Milliseconds(1));
        machine.write("/sys/bus/pci/drivers/i915/bind", "0000:03:00.0", Milliseconds(1));
        machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128, false});
        host_with(lines)(machine);
    };
}

// VM 101 is passed the NVIDIA card too, and vfio-pci has it.
Build vms_card_and(const std::string& lines)
{
    return [=](FakeSystem& machine) {
        on_vfio(machine);
        replace_guest(machine, healthy_guest + "hostpci2: 06:00,pcie=1\n");
        add_container(machine, 901, lines);
    };
}

// And the host's driver has another one, /dev/nvidia0.
Build vms_card_with_a_twin_and(const std::string& lines)
{
    return [=](FakeSystem& machine) {
        vms_card_and(lines)(machine);
        add_slot(machine, {.port = "0000:00:02.1", .bus = 0x07, .driver = "nvidia"});
        machine.file("/proc/driver/nvidia/gpus/0000:07:00.0/information", "Device Minor: \t 0\n");
        machine.file("/proc/devices", "Character devices:\n195 nvidia\n195 nvidiactl\n\nBlock devices:\n");
        machine.tree().set_device("/dev/nvidia0", {195, 0});
        machine.tree().set_device("/dev/nvidiactl", {195, 255});
    };
}

// The container has libraries of this version.
Build running_with_libraries(const std::string& version)
{
    return [=](FakeSystem& machine) {
        running_with(with_devices, {"/dev/nvidiactl", "/dev/nvidia0"})(machine);
        machine.file("/proc/" + std::to_string(init) + "/root/usr/lib/x86_64-linux-gnu/libnvidia-ml.so." +
                         version,
                     "");
    };
}

CheckCase ct_case(const std::string& check, Verdict verdict, Build fires, const std::string& says,
                  Build quiet = host_with(with_devices))
{
    return {check, verdict, std::move(fires), ct, says, std::move(quiet), false, "6.14.8-2-pve"};
}

} // namespace

std::vector<CheckCase> container_cases()
{
    return {
        ct_case("ct.config", Verdict::error, host_with("dev0: dri/card0\n"), "901.conf:1: 'dev0: dri/card0'"),
        ct_case("ct.nodes", Verdict::error, host_with(with_devices, false),
                "901.conf:3 (dev0) names '/dev/nvidia0', which is not on this host"),
        ct_case("ct.nodes", Verdict::error, on_vfio, "which is not on this host: the GPU is on vfio-pci"),
        ct_case("ct.nodes", Verdict::error, host_with("dev0: /dev/nvidia7\n"),
                "on this host, and no GPU of this host can have it"),
        // A driver that was loaded anew has another number; the node of before is left.
        ct_case(
            "ct.nodes", Verdict::error,
            [](FakeSystem& m) {
                host_with("dev0: /dev/nvidia-uvm\n")(m);
                m.tree().set_device("/dev/nvidia-uvm", {511, 0});
            },
            "has the number 511:0, and no driver"),
        ct_case(
            "ct.nodes", Verdict::warning,
            host_with("lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file\n", false),
            "(lxc.mount.entry) names '/dev/nvidia0'",
            host_with("hookscript: local:snippets/pve-gpu-hook\n"
                      "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,create=file\n",
                      false)),
        ct_case(
            "ct.boot-unit", Verdict::warning,
            [](FakeSystem& m) {
                host_with(with_devices)(m);
                m.tree().erase(std::string(paths::nodes_unit_enabled));
            },
            "is absent"),
        ct_case("ct.numbers", Verdict::warning,
                host_with("lxc.cgroup2.devices.allow: c 511:* rwm\n"
                          "lxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file\n"),
                "has the number 508:0 on this host now", host_with(mounted_nvidia)),
        ct_case("ct.restart", Verdict::warning, running_with(with_devices, {"/dev/nvidiactl"}),
                "'/dev/nvidia0' (dev0) is 195:0 on the host and missing in the container",
                running_with(with_devices, {"/dev/nvidiactl", "/dev/nvidia0"})),
        {"ct.shared-card", Verdict::warning, native_gpu_and("dev0: /dev/dri/renderD128\n"), "0000:03:00.0",
         "901.conf:1 (dev0) names '/dev/dri/renderD128'", host_with(with_devices)},
        {"ct.shared-card", Verdict::warning,
         native_gpu_and("lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n"), "0000:03:00.0",
         "names '/dev/dri'", native_gpu_and("dev0: /dev/nvidia0\n")},
        {"ct.shared-card", Verdict::warning, host_with("dev0: /dev/dri/by-path/pci-0000:03:00.0-render\n"),
         "0000:03:00.0", "pci-0000:03:00.0-render",
         host_with("dev0: /dev/dri/by-path/pci-0000:00:02.0-render\n")},
        // While vfio-pci has the card there is no node to compare with.
        {"ct.shared-card", Verdict::warning, vms_card_and(with_devices), "0000:06:00.0",
         "901.conf:3 (dev0) names '/dev/nvidia0' of this card", vms_card_with_a_twin_and(with_devices)},
        {"ct.shared-card", Verdict::warning, vms_card_and("dev0: /dev/nvidia-uvm\n"), "0000:06:00.0",
         "'/dev/nvidia-uvm' of this card", vms_card_with_a_twin_and(with_devices)},
        {"ct.shared-card", Verdict::unknown, vms_card_with_a_twin_and("dev0: /dev/nvidia1\n"), "0000:06:00.0",
         "may be this card's", vms_card_with_a_twin_and("dev0: /dev/nvidia0\n")},
        {.check = "ct.rights",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 host_with("unprivileged: 1\nlxc.idmap: u 0 100000 65536\nlxc.idmap: g 0 100000 65536\n"
                           "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file\n")(m);
                 m.set_rights("/dev/nvidia0", 0, 0660);
             },
         .subject = ct,
         .says = "belongs to nobody in the unprivileged container",
         .quiet = host_with("dev0: /dev/nvidia0,mode=0666\n"),
         .fix = "write 'devN: /dev/nvidia0'"},
        {.check = "ct.rights",
         .verdict = Verdict::note,
         .fires = host_with("dev0: /dev/nvidia0\n"),
         .subject = ct,
         .says = "901.conf:1: 'dev0: /dev/nvidia0' has no 'mode'",
         .quiet = host_with("dev0: /dev/nvidia0,gid=104\n"),
         .fix = "pct set 901 --dev0 '/dev/nvidia0,mode=0666'"},
        ct_case("ct.library", Verdict::warning, running_with_libraries("535.183.01"),
                "libraries are of version 535.183.01 (", running_with_libraries("550.90.07")),
        {"guest.hookscript", Verdict::error,
         host_with("hookscript: nfs:snippets/pve-gpu-hook\ndev0: /dev/nvidia0\n"), ct, "storage",
         host_with(with_devices)},
    };
}

} // namespace pvegpu::testing
