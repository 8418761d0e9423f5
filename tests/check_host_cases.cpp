#include "check_cases.hpp"
#include "machine/paths.hpp"

#include <cerrno>

namespace pvegpu::testing {
namespace {

void run_with(FakeSystem& machine, const std::string& words)
{
    machine.file("/proc/cmdline", "root=/dev/sda1 quiet " + words + "\n");
}

void lock_down(FakeSystem& machine)
{
    machine.file(std::string(paths::kernel_lockdown), "none [integrity] confidentiality\n");
}

// The host's own NVIDIA card.
void add_own_card(FakeSystem& machine)
{
    add_slot(machine);
}

void make_stuck(FakeSystem& machine)
{
    machine.add_process(7000, "kworker");
    machine.set_task_state(7000, 'D', "vfio_unregister_group_dev",
                           "[<0>] vfio_unregister_group_dev+0x1\n[<0>] pci_stop_bus_device+0x1\n"
                           "[<0>] remove_store+0x1\n");
}

} // namespace

std::vector<CheckCase> host_cases()
{
    return {
        {"pve.cluster-fs", Verdict::error, [](FakeSystem& m) { m.hang_read("/etc/pve/.members"); }, "host",
         "cluster file system"},
        {"iommu.enabled", Verdict::error, [](FakeSystem& m) { m.tree().erase("/sys/class/iommu/dmar0"); },
         "host", "/sys/class/iommu is empty"},
        {.check = "iommu.enabled",
         .verdict = Verdict::error,
         .fires = [](FakeSystem& m) { m.tree().erase("/sys/class/iommu/dmar0"); },
         .says = "intel_iommu=on",
         .quiet = [](FakeSystem&) {},
         .kernel = "6.5.11-8-pve"},
        {"iommu.interrupt-remapping", Verdict::error,
         [](FakeSystem& m) {
             m.file("/sys/kernel/irq/9/chip_name", "IO-APIC\n");
             m.file("/sys/kernel/irq/24/chip_name", "PCI-MSI-0000:00:1c.0\n");
         },
         "host", "no remapped",
         [](FakeSystem& m) { m.file("/sys/kernel/irq/24/chip_name", "PCI-MSI-0000:00:1c.0\n"); }},
        {"iommu.interrupt-remapping", Verdict::unknown,
         [](FakeSystem& m) { m.tree().erase("/sys/kernel/irq"); }, "host", "no interrupt controller"},
        {"iommu.unsafe-interrupts", Verdict::warning,
         [](FakeSystem& m) { m.file(std::string(paths::unsafe_interrupts), "Y\n"); }, "host", "is Y"},
        {"command-line.missing", Verdict::note, [](FakeSystem& m) { run_with(m, ""); }, "host", "'iommu=pt'"},
        {.check = "command-line.missing",
         .verdict = Verdict::warning,
         .fires = [](FakeSystem& m) { run_with(m, "iommu=pt"); },
         .says = "'intel_iommu=on'",
         .quiet = [](FakeSystem& m) { run_with(m, "intel_iommu=on iommu=pt"); },
         .kernel = "6.5.11-8-pve"},
        {"command-line.harmful", Verdict::note, [](FakeSystem& m) { run_with(m, "amd_iommu=on"); }, "host",
         "'amd_iommu=on'"},
        {"command-line.harmful", Verdict::warning, [](FakeSystem& m) { run_with(m, "pci=noaer,nomsi"); },
         "host", "'pci=noaer,nomsi'"},
        {"command-line.harmful", Verdict::warning,
         [](FakeSystem& m) { run_with(m, "pcie_acs_override=downstream,multifunction"); }, "host",
         "host's memory"},
        {"command-line.harmful", Verdict::error, [](FakeSystem& m) { run_with(m, "intel_iommu=off"); },
         "host", "'intel_iommu=off'"},
        {"command-line.harmful", Verdict::note, [](FakeSystem& m) { run_with(m, "vfio_virqfd"); }, "host",
         "'vfio_virqfd'"},
        {"kernel.lockdown", Verdict::unknown,
         [](FakeSystem& m) { m.tree().erase(std::string(paths::kernel_lockdown)); }, "host",
         "cannot be read"},
        {"kernel.lockdown", Verdict::note, lock_down, "host", "locked down"},
        {"kernel.lockdown", Verdict::warning,
         [](FakeSystem& m) {
             lock_down(m);
             m.tree().erase("/sys/bus/pci/devices/0000:00:1c.0/reset_subordinate");
         },
         "host", "reset_subordinate"},
        {"kernel.lockdown", Verdict::note, // a card with FLR needs no port for its reset
         [](FakeSystem& m) {
             lock_down(m);
             m.tree().erase("/sys/bus/pci/devices/0000:00:1c.0/reset_subordinate");
             set_attribute(m, "0000:03:00.0", "reset_method", "flr bus\n");
         },
         "host", "not signed"},
        {"kernel.stuck", Verdict::error, make_stuck, "host", "pid 7000"},
        {"cpu.governor", Verdict::note,
         [](FakeSystem& m) {
             m.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
             m.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n");
         },
         "host", "'powersave'",
         [](FakeSystem& m) {
             m.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
         }},

        {"host.reboot", Verdict::warning,
         [](FakeSystem&
                m) { // a VM has run before the install: Proxmox loaded vfio-pci after the host's driver
             m.file(std::string(paths::boot_files_changed), "x\n");
             m.file("/proc/modules",
                    "vfio_pci 1 0 - Live 0x0\nsnd_hda_intel 1 0 - Live 0x0\nxe 1 0 - Live 0x0\n");
         },
         "host", "'xe' was loaded before vfio-pci",
         [](FakeSystem& m) {
             m.file(std::string(paths::boot_files_changed), "x\n");
             m.file("/proc/modules",
                    "xe 1 0 - Live 0x0\nsnd_hda_intel 1 0 - Live 0x0\nvfio_pci 1 0 - Live 0x0\n");
         }},
        {"modules.obsolete", Verdict::note,
         [](FakeSystem& m) { m.file("/etc/modules", "vfio\nvfio_virqfd # old\n"); }, "host", "/etc/modules"},
        {"modules.initramfs", Verdict::warning,
         [](FakeSystem& m) {
             m.file("/etc/initramfs-tools/modules", "# vfio_pci\n");
             m.file("/etc/modprobe.d/pve-gpu-hook.conf", "blacklist i915\n");
         },
         "host", "has no 'vfio_pci', so 'xe"},
        {"modules.initramfs", Verdict::note,
         [](FakeSystem& m) { m.file("/etc/initramfs-tools/modules", "# vfio_pci\n"); }, "host",
         "is kept away"},
        {"modules.initramfs", Verdict::note, // a guest's card that the host has in between
         [](FakeSystem& m) {
             m.file("/etc/initramfs-tools/modules", "");
             m.file("/etc/modprobe.d/pve-gpu-hook.conf", "softdep snd_hda_intel pre: vfio-pci\n");
             m.file("/etc/pve-gpu-hook/settings.json",
                    R"({"devices": {"8086:56a6": {"after_stop": "native"}}})");
         },
         "host", "is kept away"},
        {"modules.initramfs", Verdict::unknown,
         [](FakeSystem& m) { m.tree().erase("/etc/initramfs-tools/modules"); }, "host", "cannot be read"},
        {"driver.order", Verdict::warning,
         [](FakeSystem& m) { m.file("/etc/modprobe.d/pve-gpu-hook.conf", "softdep i915 pre: vfio-pci\n"); },
         "0000:03:00.0", "'xe'",
         [](FakeSystem& m) {
             m.file("/etc/modprobe.d/pve-gpu-hook.conf",
                    "blacklist i915\ninstall xe /bin/false\nsoftdep snd-hda-intel pre: \\\n  vfio-pci\n");
         }},
        {"driver.order", Verdict::warning,
         [](FakeSystem& m) {
             m.write("/sys/bus/pci/drivers/vfio-pci/unbind", "0000:03:00.0", Milliseconds(1));
             m.write("/sys/bus/pci/drivers/i915/bind", "0000:03:00.0", Milliseconds(1));
         },
         "0000:03:00.0", "'i915', not vfio-pci"},
        {"driver.ids", Verdict::warning,
         [](FakeSystem& m) {
             m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:56A6,8086:4680\n");
         },
         "host", "'0000:00:02.0'",
         [](FakeSystem& m) { m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:56a6\n"); }},
        {"driver.ids", Verdict::warning,
         [](FakeSystem& m) { run_with(m, "iommu=pt vfio-pci.ids=8086:4680"); }, "host", "/proc/cmdline"},
        {"driver.blacklist", Verdict::warning,
         [](FakeSystem& m) {
             add_own_card(m);
             m.file("/etc/modprobe.d/blacklist.conf", "blacklist nouveau\n");
         },
         "0000:06:00.0", "'nouveau'", add_own_card},
        {"driver.blacklist", Verdict::warning,
         [](FakeSystem& m) {
             add_own_card(m);
             run_with(m, "iommu=pt modprobe.blacklist=nvidiafb,nouveau");
         },
         "0000:06:00.0", "/proc/cmdline blacklists 'nouveau'",
         [](FakeSystem& m) { // the kernel wants its own spelling, and takes the last of two
             add_own_card(m);
             run_with(m, "iommu=pt module_blacklist=nouveau module_blacklist=snd-hda-intel");
         }},
        {"driver.blacklist", Verdict::warning,
         [](FakeSystem& m) {
             add_own_card(m);
             run_with(m, "iommu=pt module_blacklist=nouveau,nvidia");
         },
         "0000:06:00.0", "'nouveau'", add_own_card},
        {.check = "driver.order",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 m.tree().erase("/etc/modprobe.d/pve-gpu-hook.conf");
                 run_with(m, "iommu=pt modprobe.blacklist=i915");
             },
         .subject = "0000:03:00.0",
         .says = "has vfio-pci before 'xe'",
         .quiet =
             [](FakeSystem& m) {
                 m.tree().erase("/etc/modprobe.d/pve-gpu-hook.conf");
                 run_with(m, "iommu=pt modprobe.blacklist=i915,xe,snd-hda-intel");
             }},
        // What is written needs no second installation.
        {.check = "driver.order",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 m.write("/sys/bus/pci/drivers/vfio-pci/unbind", "0000:03:00.0", Milliseconds(1));
                 m.write("/sys/bus/pci/drivers/i915/bind", "0000:03:00.0", Milliseconds(1));
                 m.file(std::string(paths::boot_files_changed), "");
                 m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:56a6\n");
             },
         .subject = "0000:03:00.0",
         .says = "'i915', not vfio-pci",
         .fix = "reboot: all that it takes is written already"},
        {.check = "command-line.missing",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 run_with(m, "iommu=pt");
                 m.file(std::string(paths::grub_drop_in),
                        "GRUB_CMDLINE_LINUX_DEFAULT=\"x intel_iommu=on\"\n");
                 m.file(std::string(paths::boot_files_changed), "");
             },
         .says = "'intel_iommu=on'",
         .quiet = [](FakeSystem& m) { run_with(m, "intel_iommu=on iommu=pt"); },
         .kernel = "6.5.11-8-pve",
         .fix = "reboot: all that it takes is written already"},
        {.check = "command-line.missing",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 run_with(m, "iommu=pt");
                 m.file("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=on\"\n");
             },
         .says = "'intel_iommu=on'",
         .quiet = [](FakeSystem& m) { run_with(m, "intel_iommu=on iommu=pt"); },
         .kernel = "6.5.11-8-pve",
         .fix = "the boot loader has not got it"},
        {.check = "command-line.missing",
         .verdict = Verdict::note,
         .fires = [](FakeSystem& m) { run_with(m, ""); },
         .says = "'iommu=pt'",
         .fix = "pve-gpu-install --host --vm 101"},
        {.check = "driver.ids",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci"});
                 add_slot(m, {.port = "0000:00:02.1", .bus = 0x07});
                 replace_guest(m, healthy_guest + "hostpci2: 06:00.0\n");
                 m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:1aef\n");
             },
         .says = "'0000:07:00.1' too", // the twin's audio, and not that of the guest's GPU
         .quiet =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci"});
                 replace_guest(m, healthy_guest + "hostpci2: 06:00.0\n");
                 m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2204,10de:1aef\n");
             }},
        {.check = "driver.options",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 m.file("/etc/modprobe.d/vfio.conf",
                        "options vfio-pci ids=8086:56a6,8086:4fg2 disable_vag=1\n");
             },
         .says = "'8086:4fg2' is no id, which is like '10de:2204'; 'disable_vag=1' is no option",
         .quiet =
             [](FakeSystem& m) {
                 m.file("/etc/modprobe.d/vfio.conf",
                        "options vfio-pci ids=\"8086:56a6:1af4:1100,8086:4f92\" disable_vga=1 nointxmask\n");
             },
         .silent = true},
        {.check = "driver.options",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:56a6 8086:4f92 id=8086:1\n");
             },
         .says =
             "'8086:4f92' is an id that stands alone: ids are one list, with ',' between them; 'id=8086:1'",
         .silent = true},
        {.check = "driver.options",
         .verdict = Verdict::warning,
         .fires = [](FakeSystem& m) { run_with(m, "iommu=pt vfio-pci.ids=8086:56a6,80864f92"); },
         .says = "/proc/cmdline: '80864f92'",
         .quiet = [](FakeSystem& m) { run_with(m, "iommu=pt vfio-pci.ids=8086:56a6"); },
         .silent = true},
        {.check = "driver.options",
         .verdict = Verdict::note,
         .fires =
             [](FakeSystem& m) { m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:56b6\n"); },
         .says = "'8086:56b6' to vfio-pci, and no device",
         .silent = true},
        {"display.framebuffer", Verdict::note,
         [](FakeSystem& m) {
             set_attribute(m, "0000:03:00.0", "boot_vga", "1\n");
             m.tree().set_link("/sys/class/graphics/fb0",
                               "../../devices/platform/simple-framebuffer.0/graphics/fb0");
         },
         "0000:03:00.0", "simple-framebuffer",
         [](FakeSystem& m) { set_attribute(m, "0000:03:00.0", "boot_vga", "1\n"); }},
        {"display.boot-vga", Verdict::note,
         [](FakeSystem& m) { set_attribute(m, "0000:03:00.0", "boot_vga", "1\n"); }, "0000:03:00.0",
         "boot_vga is 1"},
    };
}

} // namespace pvegpu::testing
