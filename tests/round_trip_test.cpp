// 'pve-gpu-install capture --guest N': the folder that it writes stands for the host, and tells nothing else.
#include "base/lists.hpp"
#include "base/text.hpp"
#include "catch.hpp"
#include "check/facts.hpp"
#include "check/show_checks.hpp"
#include "check_cases.hpp"
#include "commands/captured_host.hpp"
#include "commands/commands.hpp"
#include "ct_hosts.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "host_folder.hpp"
#include "real_process.hpp"

#include <algorithm>
#include <array>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

// Everything that is said of a guest.
std::string plans_and_findings(const FakeSystem& machine, unsigned vmid)
{
    std::string text;
    for (const auto phase : {Phase::pre_start, Phase::post_stop})
        text += plan_json(plan_phase(machine, {vmid, phase, ""}));
    const auto facts = read_check_facts(machine);
    return text + print_findings(run_checks(facts), facts.names);
}

void check_round_trip(const FakeSystem& machine, unsigned vmid)
{
    FakeSystem again;
    const auto files = capture_guest(machine, vmid);
    CHECK(guest_of(files) == vmid);
    load_host(again, files);
    CHECK(plans_and_findings(again, vmid) == plans_and_findings(machine, vmid));
}

// Of the cases of the checks: what a capture cannot bring back, and why.
bool cannot_be_captured(const CheckCase& one)
{
    constexpr std::array cases{
        std::pair{"pve.cluster-fs", ""},                    // Proxmox's files hang
        std::pair{"guest.hookscript", "does not answer"},   // a storage hangs
        std::pair{"guest.hookscript", "takes devices off"}, // somebody's script
        std::pair{"guest.hookscript", "pci/rescan"},        // the same
        std::pair{"guest.args", "hands"},                   // of 'args' only what is asked of it is kept
        std::pair{"guest.own-reboot", "as it runs"},        // of what is pending nothing is
        std::pair{"guest.own-reboot", "'-no-reboot'"},      // the same
        std::pair{"card.alive", "in time"},                 // the card hangs
        std::pair{"card.alive", "would wake it"},           // a card that sleeps is not woken to be read
        std::pair{"card.power", "D3cold"},                  // the same
        std::pair{"bars.resizable", "would wake it"},       // the same
        std::pair{"guest.start", "interface"},              // interfaces have lost their names
        std::pair{"guest.ram-snapshots", ""}};              // snapshots have lost their names
    return std::any_of(cases.begin(), cases.end(), [&](const auto& known) {
        return one.check == known.first && one.says.find(known.second) != std::string::npos;
    });
}

// Of the hosts of tests/hosts: what they say hangs on what a capture leaves out.
constexpr std::array<std::string_view, 17> not_whole_in_a_capture{
    "absent_behind_thunderbolt",                         // a serial number
    "ct_capabilities_are_mounted_and_no_gpu_is_divided", // modes of device nodes
    "ct_group_is_another_in_the_container",              // a container's files
    "ct_group_is_the_containers_own",
    "ct_group_of_a_stopped_container_in_a_directory",
    "ct_group_of_a_stopped_container_on_zfs",
    "ct_render_nodes_are_exchanged", // the installer's notes
    "network_card_below_a_vlan",     // names of interfaces
    "network_card_up_and_unused",
    "network_card_with_an_address_alone",
    "sound_takes_the_network_card_along",
    "sound_takes_the_network_card_along_as_told",
    "older_hookscript_that_rescans",       // somebody's script
    "romfile_is_missing",                  // a file's name
    "sata_controller_with_a_mounted_disk", // what is deeper below a function than a GPU's devices
    "vmd_controller_with_the_hosts_disk",
    "usb_controller_with_a_keyboard"};

// A host on which everything that has a name is called "secret".
void add_secret_host(FakeSystem& machine)
{
    add_healthy_host(machine);
    add_nvidia_host(machine, {.loaded = true});
    const std::string other_guest = "name: secret2\nhostpci0: 0000:06:00.0\nnet0: virtio=52:54:00:12:34:56\n";
    add_vm(machine, 102, other_guest);
    add_vm(machine, 103, "name: secret\nmemory: 512\n");
    replace_guest(
        machine,
        "#secret description\nname: secret\nargs: -fw_cfg name=opt/secret,string=secret\n"
        "cicustom: user=secret:snippets/secret\ncipassword: $5$secret\nciuser: secret\n"
        "cpu: host\nefidisk0: secret:vm-101-secret,size=4M\nhookscript: local:snippets/pve-gpu-hook\n"
        "hostpci0: 0000:03:00.0,pcie=1,romfile=secret\nhostpci1: mapping=gpu\nmachine: q35\n"
        "nameserver: 192.0.2.53\nnet0: virtio=52:54:00:12:34:56,bridge=secret\n"
        "parent: secret\nscsi0: secret:vm-101-secret,serial=secret\nserial0: /dev/secret\n"
        "smbios1: uuid=11111111-2222-3333-4444-555555555555,serial=secret\nsshkeys: secret\n"
        "tags: secret\nvmgenid: 11111111-2222-3333-4444-555555555555\n"
        "[secret]\n#secret\nname: secret\nhostpci7: secret\nvmstate: secret:vm-101-secret\n");
    add_container(machine, 901,
                  "#secret\narch: amd64\ndev0: /dev/nvidia0\ndev1: "
                  "/dev/serial/by-id/secret,mode=0666\nhostname: secret\nmp0: secret:secret,mp=/secret\n"
                  "net0: name=eth0,hwaddr=52:54:00:12:34:56\nrootfs: secret:secret\n"
                  "lxc.mount.entry: /home/secret home/secret none bind\nlxc.environment: secret=secret\n"
                  "[secret]\nhostname: secret\n");
    start_container(machine, 901, 5001);
    give_node(machine, 5001, "/dev/secret", {1, 3});
    machine.file("/etc/pve/mapping/pci.cfg",
                 "gpu\n\tdescription secret\n\tmap id=8086:4f92,node=secretnode,path=0000:04:00\n"
                 "\tmap id=8086:4f92,node=secretother,path=0000:04:00\n\nsecret\n\tdescription secret\n"
                 "\tmap id=8086:4f92,node=secretnode,path=0000:04:00\n");
    machine.file(
        "/etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tnodes secretnode,secretother\n\ncifs: secret\n\tserver 192.0.2.1\n"
        "\tusername secret\n\tshare secret\n\tcontent snippets\n");
    machine.file(
        "/etc/pve/.members",
        R"({ "nodename": "secretnode", "version": 4, "cluster": { "name": "secret", "nodes": 2, "quorate": 1 },
        "nodelist": { "secretother": { "id": 2, "ip": "192.0.2.2" } } })");
    machine.file(
        "/etc/pve/.vmlist",
        R"({ "ids": { "101": { "node": "secretnode", "type": "qemu" }, "102": { "node": "secretnode", "type": "qemu" },
        "103": { "node": "secretnode", "type": "qemu" }, "104": { "node": "secretother", "type": "qemu" }, "901": { "node": "secretnode", "type": "lxc" } } })");
    machine.file("/etc/pve/ha/resources.cfg", "vm: 101\n\tcomment secret\n\tstate started\n");
    machine.file("/proc/sys/kernel/hostname", "secretnode\n");
    machine.file("/proc/cmdline",
                 "BOOT_IMAGE=/secret root=UUID=11111111-2222-3333-4444-555555555555 ip=192.0.2.3 iommu=pt\n");
    machine.file("/etc/default/grub",
                 "# secret\nGRUB_CMDLINE_LINUX=\"secret=1 iommu=pt\"\nGRUB_PASSWORD=secret\n");
    machine.file("/etc/modules", "# secret\nvfio secret=1\n");
    machine.file("/etc/modprobe.d/a.conf", "# secret\noptions wifi key=secret\ninstall foo /bin/sh -c "
                                           "secret\nblacklist foo # secret\nsoftdep foo pre: bar # secret\n");
    machine.file("/etc/pve-gpu-hook/settings.json", "// secret\n{ \"retries\": 3 /* secret */ }\n");
    machine.file("/var/lib/dpkg/status",
                 "Package: secret\nStatus: install ok installed\nVersion: 1\n\nPackage: pve-manager\n"
                 "Status: install ok installed\nMaintainer: secret\nVersion: 9.0.10\n\n");
    machine.file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nSerial\t: secret\n");
    machine.file("/proc/swaps", "/home/secret file 1 0 -2\n");
    machine.file("/proc/self/mountinfo", "25 1 259:0 / /home/secret rw - ext4 /dev/secret rw\n");
    machine.file("/proc/driver/nvidia/gpus/0000:06:00.0/information",
                 "Model: \t NVIDIA\nGPU UUID: GPU-secret\nSerial: secret\nDevice Minor: \t 0\n");
    machine.file("/run/pve-gpu-hook/101.pre-start.json",
                 R"({"phase":"pre-start","outcome":"recovered","warnings":["secret"]})");
    machine.add_process(700, "secret", {{3, {"/home/secret"}}, {4, {"/dev/secret", DeviceNumber{1, 3}}}});
    machine.set_task_state(700, 'D', "secret_wait", "[<0>] secret_wait+0x1/0x2\n");
    add_to_kernel_log(machine, "secret: a message that no check knows");
    add_to_kernel_log(
        machine,
        "secretnode vfio-pci 0000:03:00.0: not ready 65535ms after FLR; giving up 52:54:00:12:34:56");
}

class Quiet : public Console {
public:
    std::string text;

    void print(std::string_view more) override { text += more; }
    void progress(std::string_view more) override { text += more; }
    bool can_ask() const override { return false; }
    bool ask(std::string_view) override { return false; }
    Screen screen() const override { return {}; }
};

int capture_to(FakeSystem& machine, unsigned vmid, const std::string& directory)
{
    Quiet console;
    Session session{machine, console, {.guest = vmid, .output = directory}};
    return capture(session);
}

} // namespace

TEST_CASE("what a capture of a guest says is said of its host, too", "[capture]")
{
    for (const auto& family : {host_cases(), card_cases(), guest_cases(), container_cases(), log_cases()})
        for (const auto& one : family) {
            if (cannot_be_captured(one)) continue;
            DYNAMIC_SECTION(one.check << ": " << one.says)
            {
                FakeSystem machine(one.kernel);
                add_healthy_host(machine);
                one.fires(machine);
                check_round_trip(machine, machine.exists("/etc/pve/lxc/901.conf") ? 901 : 101);
            }
        }
}

TEST_CASE("a host of tests/hosts is captured as it is there", "[capture][host]")
{
    for (const auto& name : host_names()) {
        DYNAMIC_SECTION(name)
        {
            FakeSystem machine;
            const auto files = read_host_folder(hosts_directory + name);
            load_host(machine, files);
            if (!files.contains("install") && !contains(not_whole_in_a_capture, name))
                check_round_trip(machine, guest_of(files));
        }
    }
}

TEST_CASE("a capture has no name, address, key or serial number of anybody", "[capture]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_secret_host(machine);
    for (const auto vmid : {101U, 901U}) {
        const auto files = capture_guest(machine, vmid);
        for (const auto& [name, text] : files)
            for (LineReader lines(text); lines.next();) {
                INFO(name << ": " << lines.line());
                for (const auto* secret : {"secret", "52:54:00", "11111111-2222", "192.0.2."})
                    CHECK(lines.line().find(secret) == std::string_view::npos);
            }
        CHECK(files.at("machine").find("not ready 65535ms") != std::string::npos);
        CHECK(files.at("pci.cfg") == "gpu\n#\n\tmap id=8086:4f92,node=pve1,path=0000:04:00\n"
                                     "\tmap id=8086:4f92,node=pve2,path=0000:04:00\n");
        CHECK(files.at("settings.json") == "{\n  \"retries\": 3\n}\n");
    }
    CHECK(capture_guest(machine, 101).at("vm-101.conf") ==
          "\n\n\n\n\n\ncpu: host\nefidisk0: storage:disk\nhookscript: local:snippets/pve-gpu-hook\n"
          "hostpci0: 0000:03:00.0,pcie=1,romfile=a.bin\nhostpci1: mapping=gpu\nmachine: q35\n\n\n\nscsi0: "
          "storage:disk\n"
          "\n\n\n\n\n[snapshot1]\n\n\n\nvmstate: local:disk\n");
}

TEST_CASE("a capture of a guest is a new directory, or none", "[capture]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    CHECK(capture_to(machine, 101, "/root/capture-101") == exit_done);
    CHECK(machine.text("/root/capture-101/vm-101.conf").find("hostpci0") != std::string::npos);
    CHECK(machine.exists("/root/capture-101/machine"));
    CHECK_FALSE(machine.exists("/root/capture-101/settings.json")); // there are none
    const auto before = machine.effects();
    CHECK_THROWS_WITH(capture_to(machine, 101, "/root/capture-101"),
                      "'/root/capture-101' is there already, and nothing was written; take it away, or name "
                      "another directory with '--output'");
    CHECK(text_of_error([&] { capture_to(machine, 999, "/root/other"); }).find("999") != std::string::npos);
    machine.hang_read("/etc/pve/.vmlist");
    CHECK(text_of_error([&] { capture_to(machine, 101, "/root/other"); }).find("does not answer") !=
          std::string::npos);
    CHECK(machine.effects() == before);
    CHECK_FALSE(machine.exists("/root/other"));
    FakeSystem debian;
    add_guest(debian, 101, "hostpci0: 0000:03:00.0\n");
    CHECK(text_of_error([&] { capture_to(debian, 101, "/root/other"); }).find("not a Proxmox VE host") !=
          std::string::npos);
}
