// A host and a request in, what the administrator is shown out: tests/installs/NAME.txt. UPDATE_GOLDEN=1
// writes them anew; then read the difference.
#include "catch.hpp"
#include "changes/show.hpp"
#include "golden.hpp"
#include "install_hosts.hpp"

#include <functional>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

struct Case {
    std::string name; // of the file
    std::string shows;
    std::string kernel;
    std::function<void(FakeSystem&)> build;
    InstallRequest request{{101}, false, false};
};

constexpr const char* arc_guest =
    "name: media\nhostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n";

std::string plan_text(const Case& one)
{
    FakeSystem machine(one.kernel);
    one.build(machine);
    try {
        return print_plan(make_install_plan(survey_host(machine, one.request.vms), one.request));
    } catch (const Error& error) {
        return "refused: " + std::string(error.what()) + "\n";
    }
}

void add_arc_host(FakeSystem& machine, const HostOptions& options)
{
    add_arc(machine);
    add_host(machine, options);
    add_vm(machine, 101, arc_guest);
}

void add_prepared_arc_host(FakeSystem& machine)
{
    add_arc(machine, {.driver = "vfio-pci"});
    machine.write("/sys/bus/pci/drivers/snd_hda_intel/unbind", "0000:04:00.0", Milliseconds(1));
    add_host(machine, {.running = "root=/dev/sda1 quiet iommu=pt"});
    add_vm(machine, 101, arc_guest);
    const InstallRequest request{{101}, false, false};
    for (const auto& change : make_install_plan(survey_host(machine, request.vms), request).changes) {
        if (change.kind == Change::Kind::file) machine.file(change.path, *change.after);
        if (change.kind == Change::Kind::link) machine.tree().set_link(change.path, *change.after);
        if (change.kind == Change::Kind::program) machine.run(change.argv, Milliseconds(1));
    }
}

const std::vector<Case> cases{
    {"pve8_grub_intel_6.5", "Intel before 6.8: the IOMMU has to be turned on, so a reboot is needed.",
     "6.5.11-8-pve",
     [](FakeSystem& machine) { add_arc_host(machine, {.proxmox = "8.1.3", .iommu = false}); }},
    {"pve8_grub_intel_6.8", "Intel from 6.8 on: only iommu=pt; proxmox-boot-tool has GRUB on its partitions.",
     "6.8.12-4-pve", [](FakeSystem& machine) { add_arc_host(machine, {.proxmox_boot = true}); }},
    {"pve9_systemd_boot_amd",
     "AMD with systemd-boot: /etc/kernel/cmdline has one line, and it is ours to extend.", "6.14.8-2-pve",
     [](FakeSystem& machine) {
         add_arc_host(
             machine,
             {.proxmox = "9.0.3", .cpu = "AuthenticAMD", .proxmox_boot = true, .systemd_boot = true});
         machine.file("/sys/firmware/efi/fw_platform_size", "64\n");
         machine.file("/etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs amd_iommu=on\n\n");
     }},
    {"boot_loader_undecided", "proxmox-boot-tool, and nothing tells which loader it has: both get the words.",
     "6.14.8-2-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {.proxmox_boot = true});
         machine.file("/sys/firmware/efi/fw_platform_size", "64\n");
         machine.file("/etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt\n");
     }},
    {"twins", "Two equal cards, one stays with the host: never ids, a rule for the address.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_slot(machine);
         add_slot(machine, {.port = "0000:00:02.0", .bus = 0x07});
         add_host(machine);
         add_vm(machine, 101, "hostpci0: 06:00,pcie=1\n");
     }},
    {"ids_elsewhere_later",
     "Another file's ids are read after ours and would replace them: the card goes by address.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/etc/modprobe.d/vfio.conf",
                      "options vfio-pci ids=10de:2204,10de:1aef disable_vga=1\n");
     }},
    {"ids_elsewhere_earlier",
     "Another file's ids are read before ours, which would replace them: the card goes by address.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/lib/modprobe.d/kvm.conf", "options vfio_pci disable_vga=1 \\\n  ids=10DE:2204\n");
     }},
    {"ids_on_command_line",
     "kmod puts the options of the command line behind those of the files: the card goes by address.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/etc/default/grub",
                      "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt vfio-pci.ids=10de:2204\"\n");
     }},
    {"cluster", "In a cluster the guest can go to a node where the hook is missing.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         join_cluster(machine);
         machine.file("/etc/pve/ha/resources.cfg", "vm: 101\n\tgroup gpu\n");
     }},
    {"cluster_bound",
     "High availability that keeps the guest on this node is nothing to warn of, a shared snippet is.",
     "6.14.8-2-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {.proxmox = "9.0.3"});
         join_cluster(machine);
         machine.file("/etc/pve/storage.cfg",
                      "nfs: share\n\tserver 192.0.2.1\n\texport /e\n\tcontent snippets\n");
         machine.file("/etc/pve/ha/resources.cfg", "vm: 101\n");
         machine.file("/etc/pve/ha/rules.cfg",
                      "node-affinity: gpu\n\tnodes pve1\n\tresources vm:101\n\tstrict 1\n");
     }},
    {"cluster_other_node",
     "Another node of a cluster gets the snippet with --host, and nothing else where no VM has a card.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         join_cluster(machine);
     },
     {{}, true, false}},
    {"no_interrupt_remapping", "Without interrupt remapping the VM could not start.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/sys/kernel/irq/1/chip_name", "IO-APIC\n");
     }},
    {"no_quorum", "Without quorum nothing of Proxmox can be changed, so nothing is.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         join_cluster(machine, false);
     }},
    {"existing_hookscript", "The guest's old hookscript is remembered and goes on running.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         add_vm(machine, 101, std::string("hookscript: local:snippets/old.sh\n") + arc_guest);
         machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
     }},
    {"hookscript_of_unknown_storage", "An old hookscript that cannot be found is not thrown away.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         add_vm(machine, 101, std::string("hookscript: gone:snippets/old.sh\n") + arc_guest);
     }},
    {"foreign_snippet", "A file of that name which is not ours is not replaced.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/var/lib/vz/snippets/pve-gpu-hook", "#!/bin/sh\n");
     }},
    {"already_installed", "A second run changes nothing.", "6.8.12-4-pve", add_prepared_arc_host},
    {"shared_card",
     "Two VMs share one card, one at a time: the second is attached, nothing else changes.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_prepared_arc_host(machine);
         add_vm(machine, 102, arc_guest);
     },
     {{102}, false, false}},
    {"flr", "A card that resets itself may not need the hook.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_host(machine);
         machine.add_bridge("", "0000:00:01.0");
         auto gpu = nvidia_gpu;
         gpu.reset_methods = {"flr", "bus"};
         machine.add_function("0000:00:01.0", "0000:01:00.0", gpu);
         add_vm(machine, 101, "hostpci0: 0000:01:00.0,pcie=1\n");
     }},
    {"half_a_card", "The card's audio function stays with the host: said, and not taken.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         add_vm(machine, 101, "hostpci0: 0000:03:00.0,pcie=1\n");
     }},
    {"apu", "An APU's slot has USB controllers of the host: nobody is told to pass them.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_apu(machine);
         add_host(machine);
         add_vm(machine, 101, "hostpci0: 0000:0c:00.0,pcie=1\n");
     }},
    {"blacklist",
     "--blacklist says what it does to the host.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) { add_arc_host(machine, {}); },
     {{101}, false, true}},
    {"host_only",
     "--host prepares the host and attaches nothing.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) { add_arc_host(machine, {}); },
     {{101}, true, false}},
    {"back_to_native", "after_stop native: the host has the card at boot, so vfio-pci takes nothing by id.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/etc/pve-gpu-hook/settings.json", R"({"guests": {"101": {"after_stop": "native"}}})");
     }},
    {"dangerous_command_line", "What the administrator has on the command line stays, and is told about.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/etc/default/grub",
                      "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt pcie_acs_override=downstream\"\n"
                      "GRUB_CMDLINE_LINUX='video=efifb:off'\n");
     }},
    {"no_such_vm",
     "A VM that is not here.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) { add_arc_host(machine, {}); },
     {{102}, false, false}},
    {"no_hostpci", "A VM without hostpci.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         add_vm(machine, 101, "name: web\n");
     }},
    {"no_gpu", "A VM with a device that is no GPU.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_host(machine);
         machine.add_bridge("", "0000:00:01.0");
         machine.add_function("0000:00:01.0", "0000:01:00.0", network_card);
         add_vm(machine, 101, "hostpci0: 0000:01:00.0\n");
     }},
    {"not_proxmox", "A plain Debian.", "6.1.0-30-amd64", [](FakeSystem&) {}},
    {"no_storage", "No storage has files.", "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.file("/etc/pve/storage.cfg", "lvmthin: local-lvm\n\tthinpool data\n");
     }},
    {"missing_program", "A program that is needed is not there: found before anything is changed.",
     "6.8.12-4-pve",
     [](FakeSystem& machine) {
         add_arc_host(machine, {});
         machine.tree().erase("/usr/sbin/update-initramfs");
     }},
};

} // namespace

TEST_CASE("install plans are as the golden files say", "[install][golden]")
{
    for (const auto& one : cases) {
        DYNAMIC_SECTION(one.name)
        {
            check_golden("/installs/" + std::string(one.name) + ".txt",
                         "# " + one.shows + "\n\n" + plan_text(one));
        }
    }
}

TEST_CASE("the plan as JSON says what changes and whether a reboot is needed", "[install]")
{
    FakeSystem machine("6.8.12-4-pve");
    add_arc_host(machine, {});
    const InstallRequest request{{101}, false, false};
    const auto json = install_json(make_install_plan(survey_host(machine, request.vms), request));
    CHECK(json.find("\"schema\": \"pve-gpu-hook/install/1\"") != std::string::npos);
    CHECK(json.find("\"changed\": true") != std::string::npos);
    CHECK(json.find("\"reboot_needed\": true") != std::string::npos);
    FakeSystem done("6.8.12-4-pve");
    add_prepared_arc_host(done);
    const auto nothing = install_json(make_install_plan(survey_host(done, request.vms), request));
    CHECK(nothing.find("\"changed\": false") != std::string::npos);
    CHECK(nothing.find("\"reboot_needed\": false") != std::string::npos);
}
