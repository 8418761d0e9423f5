// The table of checks. docs/checks.md is printed from it.
#include "check/check.hpp"

#include "check/check_families.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::vector<Check> make_checks()
{
    std::vector<Check> checks{
        {"pve.cluster-fs", "whether /etc/pve answers",
         "without it no guest can start, and none can be looked at here", pve_cluster_fs},
        {"iommu.enabled", "/sys/class/iommu", "without an IOMMU no device can be passed to a guest",
         iommu_enabled},
        {"iommu.interrupt-remapping", "/sys/kernel/irq/*/chip_name",
         "without interrupt remapping a guest could raise any interrupt of the host, so vfio refuses",
         iommu_interrupt_remapping},
        {"iommu.unsafe-interrupts", "the parameter allow_unsafe_interrupts of vfio_iommu_type1",
         "a guest with a device can then attack the host through its interrupts", iommu_unsafe_interrupts},
        {"command-line.missing", "/proc/cmdline against what this processor and kernel need",
         "Intel's IOMMU is off without it before Linux 6.8; 'iommu=pt' keeps the host's own devices fast",
         command_line_missing},
        {"command-line.harmful", "/proc/cmdline: parameters that do nothing, or harm",
         "a useless one hides the cause of trouble; a harmful one breaks devices, or opens the host to its "
         "guests",
         command_line_harmful},
        {"kernel.lockdown", "Secure Boot and lockdown against the ways to reset a card",
         "a locked kernel forbids writing configuration space, which older kernels need for a reset",
         kernel_lockdown},
        {"kernel.stuck", "tasks inside the kernel's PCI code",
         "while one is stuck no device of the host can be added, removed or rescanned", kernel_stuck},
        {"cpu.governor", "the first processor's frequency governor",
         "a guest with a GPU stutters on processors that stay at their lowest frequency", cpu_governor},

        {"modules.obsolete", "/etc/modules, modules-load.d and the initramfs list: vfio_virqfd",
         "a module that is gone costs an error at every boot", modules_obsolete},
        {"modules.initramfs", "/etc/initramfs-tools/modules",
         "the driver that is loaded first gets the card; in the initramfs that can be the native one",
         modules_initramfs},
        {"driver.order", "modprobe.d and the driver of each passed function",
         "a native driver that has seen the card leaves it in a state that the guest's driver may not bear",
         driver_order},
        {"driver.ids", "'ids=' of vfio-pci in modprobe.d and on the command line",
         "ids do not tell twins apart: the host loses its own card, disk or network", driver_ids},
        {"driver.blacklist", "blacklists against the GPUs that stay with the host",
         "a blacklist is for a driver, not for a card: the host's own screen stays dark", driver_blacklist},
        {"display.framebuffer", "the firmware's framebuffer on a passed card",
         "it keeps a part of the card's memory: \"BAR can't reserve\"", display_framebuffer},
        {"display.boot-vga", "boot_vga of the passed cards",
         "the host loses its screen, and some cards give a guest no picture once the firmware has used them",
         display_boot_vga},

        {"card.alive", "whether the card's configuration space answers",
         "a card that reads all ones cannot be passed to anybody", card_alive},
        {"card.power", "the card's power state", "a card in D3cold may not wake when its guest starts",
         card_power},
        {"card.reset", "the reset methods that the kernel offers, and the hook",
         "a card without a reset is dirty after its guest stops: the next start gives no picture",
         card_reset},
        {"card.known", "the device table", "how its resets behave is then known from others", card_known},
        {"card.link", "lanes between the card's port and the top of the card, against what both can",
         "after a bad reset or in a bad slot a card runs with half its lanes, or one", card_link},
        {"card.errors", "the error counters (AER) of the card and its port",
         "link errors freeze guests and hosts, and no setting cures them", card_errors},
        {"reset.module", "whether vendor-reset is loaded and used where it is the cure",
         "some AMD cards break in the kernel's own reset and recover in this module's only", reset_module},
        {"bars.assigned", "whether every BAR of the card has an address",
         "a card without its memory does not work in a guest, or keeps it from starting", bars_assigned},
        {"bars.above-4g", "where the card's largest BAR lies",
         "below 4 GiB there is room for small ones only", bars_above_4g},
        {"bars.resizable", "the size of resizable BARs against the largest that the card has",
         "Arc cards are slow with a small one; some AMD cards give Code 43 with a large one", bars_resizable},
        {"bars.large-memory", "cards whose memory is 32 GiB or more, against their guests",
         "the guest's firmware must be able to address all of it, or the card is not there",
         bars_large_memory},
        {"card.companions", "functions of the card that are not passed",
         "a host driver on half of the card keeps it busy, and then it cannot be reset", card_companions},
        {"card.twins", "GPUs of the host with the same ids", "whatever goes by ids takes the host's card too",
         card_twins},
        {"group.isolation", "other devices in the GPU's IOMMU group",
         "Proxmox takes the whole group from the host, disks and network cards with it", group_isolation},
        {"card.sriov", "virtual functions of a card that is passed whole",
         "they vanish when their parent is taken away, under the guests that have them", card_sriov},
        {"nvidia.vgpu-host-driver",
         "mdev_supported_types, and creatable_vgpu_types from Linux 6.8 on, of NVIDIA cards that are passed "
         "whole",
         "the vGPU driver does not let go, and a mapping without 'mdev' does not match meanwhile",
         nvidia_vgpu_host_driver},
        {"nvidia.mig", "GPU instances in /proc/driver/nvidia/capabilities",
         "MIG mode stays on in the guest, and switches NVLink off", nvidia_mig},
        {"nvidia.nvlink", "NVSwitches beside passed cards",
         "NVLink works only between GPUs that the Fabric Manager puts into one partition", nvidia_nvlink},
        {"nvidia.large-memory", "passed GPUs of NVIDIA whose largest BAR has 32 GiB or more",
         "what such a card can do besides being passed whole depends on its model, driver and licence, and "
         "nothing "
         "on the host says it",
         nvidia_large_memory},

        {"guest.config", "lines of the guest's configuration that Proxmox drops",
         "Proxmox starts the guest without a device whose line it cannot read: upper-case digits are enough",
         guest_config},
        {"guest.device-present", "whether the host has what the hostpci lines name",
         "the guest does not start", guest_device_present},
        {"guest.mapping", "resource mappings against the hardware",
         "Proxmox refuses to start a guest whose mapping does not match to the letter", guest_mapping},
        {"guest.mdev", "mediated devices and how many functions they name",
         "Proxmox refuses a mediated device with several functions", guest_mdev},
        {"guest.shared-card", "how many guests are passed the card", "the second one to start is refused",
         guest_shared_card},
        {"guest.migration", "addresses in hostpci lines, in a cluster or under high availability",
         "an address is good on one node only: elsewhere the guest does not start, or gets another device",
         guest_migration},
        {"guest.hookscript", "whether the hookscript is there and executable",
         "Proxmox does not start a guest whose hookscript is missing", guest_hookscript},
        {"guest.last-run", "how the hook's last run before a start ended",
         "it says why the guest did not start", guest_last_run},
        {"guest.legacy-igd", "'legacy-igd=1' against the rest of the configuration",
         "Proxmox refuses to start a guest where that mode of Intel's integrated GPU meets what it cannot be "
         "with",
         guest_legacy_igd},
        {"guest.machine", "the machine type",
         "on i440fx a card is a conventional PCI device: drivers miss features", guest_machine},
        {"guest.firmware", "SeaBIOS or OVMF", "many cards' ROMs are for UEFI only, and large BARs need it",
         guest_firmware},
        {"guest.pcie", "'pcie=1' in the hostpci lines",
         "without it the guest's driver sees no PCI Express link and may refuse the card", guest_pcie},
        {"guest.x-vga", "'x-vga=1' against the class of the GPU",
         "QEMU takes it for VGA devices only, and one of a guest", guest_x_vga},
        {"guest.cpu", "the guest's processor type",
         "GPU drivers want instructions that the old types hide; a guest with a GPU does not migrate anyway",
         guest_cpu},
        {"guest.balloon", "ballooning",
         "all memory of a guest with a device is pinned, so it gives nothing back", guest_balloon},
        {"guest.numa", "the card's NUMA node against the guest's processors",
         "every access to the card crosses the link between the processors", guest_numa},
        {"guest.hibernate", "whether the guest is hibernated", "a device's state is not in the saved memory",
         guest_hibernate},
        {"guest.ram-snapshots", "snapshots with memory",
         "they cannot be made, or gone back to, with a passed device", guest_ram_snapshots},

        {"ct.config", "devN lines of containers",
         "Proxmox keeps a devN line that it cannot use, and then does not start the container", ct_config},
        {"ct.nodes", "the device nodes that containers name, against /dev and /proc/devices",
         "Proxmox looks at a devN path before any hook runs ('Device ... does not exist'), and LXC refuses a "
         "mount that is not 'optional'",
         ct_nodes},
        {"ct.boot-unit", "whether pve-gpu-hook-nodes.service is enabled where containers name NVIDIA's nodes",
         "after a boot nobody else makes these nodes before Proxmox starts the containers", ct_boot_unit},
        {"ct.numbers", "device numbers in lxc.cgroup2.devices.allow, against those of this boot",
         "some drivers get another number at each boot, and the container may not open the device then",
         ct_numbers},
        {"ct.rights", "owner and mode of the nodes that a container is given",
         "a service with a user of its own does not see the GPU, though the node is there", ct_rights},
        {"ct.library", "NVIDIA's libraries in running containers against the kernel's module",
         "nothing of NVIDIA works across versions, not even nvidia-smi", ct_library},
        {"ct.restart", "/dev of running containers against their configuration",
         "a container gets a device when it starts, not when the line is written", ct_restart},
        {"ct.shared-card", "the nodes of passed cards, against what containers name",
         "the container loses the card when the VM starts, or its program keeps the VM from starting",
         ct_shared_card},

        {"log.readable", "/dev/kmsg", "the kernel says there what went wrong, until it is overwritten",
         log_readable},
    };
    for (const auto& message : known_messages())
        checks.push_back({message.name, message.pattern, message.cause,
                          [&message](const CheckFacts& facts) { return log_has(facts, message); }});
    return checks;
}

} // namespace

std::string to_string(Verdict verdict)
{
    switch (verdict) {
    case Verdict::ok:
        return "ok";
    case Verdict::note:
        return "note";
    case Verdict::unknown:
        return "unknown";
    case Verdict::warning:
        return "warning";
    case Verdict::error:
        break;
    }
    return "error";
}

bool Finding::concerns(unsigned vmid) const
{
    return guests.empty() || std::find(guests.begin(), guests.end(), vmid) != guests.end();
}

const std::vector<Check>& all_checks()
{
    static const auto checks = make_checks();
    return checks;
}

Findings run_checks(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& check : all_checks())
        for (auto& finding : check.look(facts)) {
            finding.name = check.name;
            finding.why = check.why;
            findings.push_back(std::move(finding));
        }
    std::stable_sort(findings.begin(), findings.end(),
                     [](const Finding& one, const Finding& other) { return one.verdict > other.verdict; });
    return findings;
}

Findings narrowed(const Findings& findings, const std::vector<unsigned>& vmids)
{
    Findings kept;
    std::copy_if(findings.begin(), findings.end(), std::back_inserter(kept), [&](const Finding& finding) {
        return vmids.empty() ||
               std::any_of(vmids.begin(), vmids.end(), [&](unsigned vmid) { return finding.concerns(vmid); });
    });
    return kept;
}

Verdict worst(const Findings& findings)
{
    return findings.empty() ? Verdict::ok : findings.front().verdict;
}

std::size_t count(const Findings& findings, Verdict verdict)
{
    return static_cast<std::size_t>(std::count_if(
        findings.begin(), findings.end(), [verdict](const auto& one) { return one.verdict == verdict; }));
}

} // namespace pvegpu
