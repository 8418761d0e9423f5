#include "catch.hpp"
#include "fake_system.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "usage/block_users.hpp"
#include "usage/claims.hpp"
#include "usage/device_files.hpp"
#include "usage/holders.hpp"

#include <map>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string port = "0000:00:1c.0";
const std::string gpu = "0000:03:00.0";
const std::string audio = "0000:03:00.1";
const std::string nvme = "0000:04:00.0";
constexpr unsigned own_vmid = 101;
constexpr DeviceNumber disk{259, 0, true};
constexpr DeviceNumber partition{259, 1, true};

// A slot with GPU and audio, and what its group drags along.
struct Host : FakeSystem {
    explicit Host(const std::string& gpu_driver = "i915", const std::string& kernel = "6.12.117")
        : FakeSystem(kernel)
    {
        add_bridge("", port, {.secondary_bus = 3});
        add_function(port, gpu, {.driver = gpu_driver});
        add_function(port, audio, {.class_code = 0x040300, .driver = "snd_hda_intel"});
        add_bridge("", "0000:00:1d.0", {.secondary_bus = 4});
        add_function("0000:00:1d.0", nvme, {.class_code = 0x010802, .driver = "nvme"});
        set_group(14, {gpu, audio});
    }

    void add_disk()
    {
        add_node(nvme, "nvme/nvme0/nvme0n1", "/dev/nvme0n1", disk);
        add_node(nvme, "nvme/nvme0/nvme0n1/nvme0n1p1", "/dev/nvme0n1p1", partition);
        file(paths::function(address_of(nvme), "nvme/nvme0/nvme0n1/nvme0n1p1/partition"), "1\n");
    }

    std::vector<Holder> holders(const std::vector<std::string>& addresses)
    {
        std::vector<Function> functions;
        for (const auto& address : addresses) functions.push_back(*read_function(*this, address_of(address)));
        return find_holders(*this, functions, own_vmid);
    }

    std::vector<std::string> described(const std::vector<std::string>& addresses)
    {
        std::vector<std::string> result;
        for (const auto& holder : holders(addresses)) result.push_back(describe(holder));
        return result;
    }
};

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("nobody uses an idle machine, and asking writes nothing")
{
    Host machine;
    machine.add_process(812, "bash",
                        {{0, {"/dev/pts/0", DeviceNumber{136, 0, false}, ""}}, {3, {"socket:[17]"}}});
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_disk();
    CHECK(machine.holders({gpu, audio, nvme}).empty());
    CHECK(machine.effects().empty());
}

TEST_CASE("a VM has the function open by its group")
{
    Host machine("vfio-pci");
    machine.open_vfio(gpu, 4711, "kvm", 102);
    const auto found = machine.holders({gpu});
    REQUIRE(found.size() == 1);
    CHECK(found[0] == Holder{Holder::Kind::vfio, address_of(gpu), 102, 4711, "kvm", "/dev/vfio/14"});
    CHECK(describe(found[0]) == "VM 102 (pid 4711, kvm)");
}

TEST_CASE("an open group holds every function of it that is on vfio-pci, and no other")
{
    Host machine("vfio-pci");
    machine.open_vfio(gpu, 4711);
    CHECK(machine.holders({gpu, audio}).size() == 1);
    machine.write(paths::function(address_of(audio), "driver/unbind"), audio, Milliseconds(1));
    machine.write(paths::function(address_of(audio), "driver_override"), "vfio-pci", Milliseconds(1));
    machine.write(std::string(paths::drivers_probe), audio, Milliseconds(1));
    CHECK(machine.holders({gpu, audio}).size() == 2);
}

TEST_CASE("a process has the function open by its character device (not shown on a kernel)")
{
    Host machine("vfio-pci");
    machine.with_vfio_cdev();
    machine.set_group(15, {gpu}); // binds it again, now with a character device
    const auto device = machine.list(paths::function(address_of(gpu), "vfio-dev")).at(0);
    machine.open_vfio_cdev(gpu, 4711, "qemu-system-x86");
    CHECK(machine.described({gpu}) ==
          Texts{"a process (pid 4711, qemu-system-x86), which has '/dev/vfio/devices/" + device + "' open"});
}

TEST_CASE(
    "a process that was handed only the device is found by fdinfo from 6.18 on, and seen by enable before")
{
    for (const auto* kernel : {"6.1.187", "7.2.11"}) {
        Host machine("vfio-pci", kernel);
        machine.open_vfio(gpu, 4711);
        for (const auto* fd : {"10", "11"}) machine.tree().erase(paths::process(4711, "fd/") + fd);
        const auto found = machine.holders({gpu});
        REQUIRE(found.size() == 1);
        CHECK(found[0].kind == Holder::Kind::vfio);
        CHECK(found[0].pid.has_value() == (kernel[0] == '7'));
    }
}

TEST_CASE("processes that were handed a device each are told apart", "[not-shown-on-a-kernel]")
{
    Host machine("vfio-pci", "7.2.11");
    const std::string usb = "0000:03:00.2";
    machine.add_function(port, usb, {.class_code = 0x0c0330, .driver = "vfio-pci"});
    const std::map<std::string, pid_t> processes{{gpu, 4711}, {usb, 4712}};
    for (const auto& [function, pid] : processes) {
        machine.open_vfio(function, pid);
        for (const auto* fd : {"10", "11"}) machine.tree().erase(paths::process(pid, "fd/") + fd);
    }
    const auto found = machine.holders({gpu, usb});
    REQUIRE(found.size() == 2);
    for (const auto& holder : found) CHECK(holder.pid == processes.at(to_string(holder.function)));
}

TEST_CASE("enable >= 1 on a vfio driver's function is a holder though no process is found")
{
    for (const auto* driver : {"vfio-pci", "nvgrace-gpu-vfio-pci", "xe-vfio-pci", "mlx5_vfio_pci"}) {
        Host machine(driver);
        CHECK(machine.holders({gpu}).empty());
        machine.open_vfio(gpu, 4711);
        machine.end_process(4711);
        CHECK(machine.described({gpu}) == Texts{"an unknown process (the vfio device is open)"});
    }
    Host native;
    CHECK(native.text(paths::function(address_of(gpu), "enable")) == "1");
    CHECK(native.holders({gpu}).empty());
}

TEST_CASE("a process of the native driver: the node as it has opened it, once, in a container too")
{
    Host machine;
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_node(gpu, "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    machine.add_node(audio, "sound/card0/pcmC0D3p", "/dev/snd/pcmC0D3p", {116, 3});
    machine.add_process(812, "Xorg", {{7, {"/dev/dri/card1"}}, {8, {"/dev/dri/renderD128"}}});
    machine.add_process(900, "ffmpeg", {{5, {"/dev/gpu", DeviceNumber{226, 128, false}, ""}}});
    machine.add_process(901, "pipewire", {{5, {"/dev/snd/pcmC0D3p"}}});
    CHECK(machine.described({gpu, audio}) ==
          Texts{"a process (pid 812, Xorg), which has '/dev/dri/card1' open",
                "a process (pid 900, ffmpeg), which has '/dev/gpu' open",
                "a process (pid 901, pipewire), which has '/dev/snd/pcmC0D3p' open"});
}

TEST_CASE("a block device with the number of a character device is another device")
{
    Host machine;
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_process(812, "dd", {{7, {"/dev/x", DeviceNumber{226, 1, true}, ""}}});
    CHECK(machine.holders({gpu}).empty());
}

TEST_CASE("what is said of a process holds no control characters")
{
    Host machine;
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_process(812, "a\x1b[31m", {{7, {"/dev/dri/card1\n", DeviceNumber{226, 1, false}, ""}}});
    CHECK(machine.described({gpu}) ==
          Texts{"a process (pid 812, a\\x1b[31m), which has '/dev/dri/card1\\x0a' open"});
}

TEST_CASE("NVIDIA's nodes, which sysfs does not know")
{
    Host machine("nvidia");
    machine.file("/proc/devices", "Character devices:\n  1 mem\n196 nvidia\n\nBlock devices:\n259 blkext\n");
    const auto information = "/proc/driver/nvidia/gpus/" + gpu + "/information";
    machine.file(information, "Model: \t\t NVIDIA\nDevice Minor: \t 1\n");
    machine.add_process(812, "nvidia-persiste", {{3, {"/dev/nvidia1", DeviceNumber{196, 1, false}, ""}}});
    machine.add_process(813, "other", {{3, {"/dev/nvidia0", DeviceNumber{196, 0, false}, ""}}});
    CHECK(machine.described({gpu}) ==
          Texts{"a process (pid 812, nvidia-persiste), which has '/dev/nvidia1' open"});
    machine.hang_read(information);
    CHECK(machine.holders({gpu}).empty()); // its DRM node is looked at all the same
    CHECK(machine.elapsed() == Milliseconds(2000));
}

TEST_CASE("a mounted file system, once, with the place's odd characters")
{
    Host machine;
    machine.add_disk();
    machine.file("/proc/self/mountinfo", "25 1 254:1 / / rw - ext4 /dev/vda1 rw\n"
                                         "31 25 259:1 / /srv\\040data rw shared:1 - xfs /dev/nvme0n1p1 rw\n"
                                         "32 25 259:1 /sub /mnt rw - xfs /dev/nvme0n1p1 rw\n");
    CHECK(machine.described({nvme}) == Texts{"'nvme0n1p1' mounted on '/srv data'"});
    CHECK(machine.holders({nvme})[0].kind == Holder::Kind::mount);
    CHECK(machine.holders({gpu}).empty());
}

TEST_CASE("swap areas, RAID and LVM members, claimed and silent disks")
{
    Host machine;
    machine.add_disk();
    const auto place = paths::function(address_of(nvme), "nvme/nvme0/nvme0n1/nvme0n1p1");
    SECTION("swap")
    {
        machine.file("/proc/swaps", "Filename\tType\tSize\n/dev/nvme0n1p1   partition\t1\n/swap\tfile\t1\n");
        CHECK(machine.described({nvme}) == Texts{"'nvme0n1p1' used for swapping"});
    }
    SECTION("device mapper")
    {
        machine.tree().set_link(place + "/holders/dm-0", "../../../dm-0");
        CHECK(machine.described({nvme}) == Texts{"'nvme0n1p1' used by 'dm-0'"});
    }
    SECTION("claimed")
    {
        machine.claimed("/dev/nvme0n1");
        CHECK(machine.described({nvme}) == Texts{"'nvme0n1' claimed by a file system, a pool or a program"});
    }
    SECTION("silent")
    {
        machine.hang_read("/dev/nvme0n1");
        CHECK(machine.described({nvme}) == Texts{"'nvme0n1', which does not answer"});
    }
}

TEST_CASE("the disk of an NVMe drive with several controllers belongs to its subsystem")
{
    Host machine;
    machine.add_node(nvme, "nvme/nvme0", "/dev/nvme0", {240, 0});
    const std::string subsystem = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
    machine.tree().set_sysfs_link("/sys/class/nvme-subsystem/nvme-subsys0", subsystem);
    machine.tree().set_sysfs_link(subsystem + "/nvme0", paths::function(address_of(nvme), "nvme/nvme0"));
    machine.file(subsystem + "/nvme0n1/dev", "259:0\n");
    machine.tree().set_sysfs_link(subsystem + "/nvme0n1/subsystem", "/sys/class/block");
    machine.file("/proc/self/mountinfo", "31 25 259:0 / /srv rw shared:1 - xfs /dev/nvme0n1 rw\n");
    CHECK(machine.described({nvme}) == Texts{"'nvme0n1' mounted on '/srv'"});
}

TEST_CASE("network interfaces that are up, and USB devices")
{
    Host machine;
    const auto net = paths::function(address_of(gpu), "net/");
    machine.file(net + "eno1/flags", "0x1003\n");
    machine.file(net + "eno2/flags", "0x1002\n");
    const auto hub = paths::function(address_of(audio), "usb1/");
    machine.file(hub + "dev", "189:0\n");
    machine.file(hub + "1-0:1.0/uevent", "\n");
    machine.file(hub + "1-4/product", "Keychron K2\n");
    machine.file(hub + "1-4/1-4.2/product", "a hub's child\n");
    CHECK(machine.described({gpu, audio}) ==
          Texts{"network interface 'eno1'", "USB device '1-4 Keychron K2'"});
}

TEST_CASE("reservations and claims of other guests count, our own do not")
{
    Host machine;
    const auto reserve = [&](const std::string& text) {
        machine.file(std::string(paths::pve_reservations), text);
    };
    const Process task{4711, 77};
    machine.add_process(task.pid, "task UPID", {}, 1, task.start);
    machine.file(paths::claim(103), print_claim({103, task, {address_of(gpu), address_of(audio)}}));
    machine.file(paths::claim(own_vmid), print_claim({own_vmid, task, {address_of(gpu)}}));
    SECTION("a claim")
    {
        CHECK(machine.described({gpu}) == Texts{"VM 103, which pid 4711 (task UPID) is starting"});
        machine.end_process(task.pid);
        CHECK(machine.holders({gpu}).empty());
    }
    SECTION("a claim that Proxmox has taken over")
    {
        reserve(gpu + " 103 time:1700000015\n");
        CHECK(machine.described({gpu}) == Texts{"VM 103, for which Proxmox has reserved it"});
        CHECK(machine.described({audio}) == Texts{"VM 103, which pid 4711 (task UPID) is starting"});
        machine.advance(std::chrono::seconds(16));
        CHECK(machine.described({gpu}) == Texts{"VM 103, which pid 4711 (task UPID) is starting"});
    }
    SECTION("our own reservation")
    {
        machine.tree().erase(paths::claim(103));
        reserve(gpu + " 101 time:1700000015\n" + audio + " 102 time:1600000000\n");
        CHECK(machine.holders({gpu, audio}).empty());
    }
}

TEST_CASE("functions below a bridge are not the bridge's own")
{
    Host machine;
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_process(812, "Xorg", {{7, {"/dev/dri/card1"}}});
    CHECK(machine.holders({port}).empty());
    CHECK(machine.holders({port, gpu}).size() == 1);
}

TEST_CASE("we are nobody's holder, and a process that ends meanwhile is none")
{
    Host machine;
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_process(machine.own_pid(), "pve-gpu-hook", {{7, {"/dev/dri/card1"}}});
    machine.add_process(812, "Xorg", {{7, {"/dev/dri/card1"}}});
    machine.tree().erase("/proc/812/comm");
    CHECK(machine.described({gpu}) == Texts{"a process (pid 812, ), which has '/dev/dri/card1' open"});
}

TEST_CASE("mountinfo and swaps: odd lines are skipped")
{
    CHECK(parse_mounts("\nx\n1 2 3 4 5\n1 2 8:x / /a\n1 2 8:1 / /a\\134b\\04\n").size() == 1);
    CHECK(parse_mounts("1 2 8:1 / /a\\134b\\04\n")[0].place == "/a\\b\\04");
    CHECK(parse_swaps("Filename Type\n\n/a\\040b file\n").at(0) == "/a b");
}
