#include "check_cases.hpp"
#include "paths.hpp"

namespace pvegpu::testing {
namespace {

const std::string vm = "VM 101";
const std::string gpu = "0000:03:00.0";

Build guest(const std::string& lines)
{
    return [lines](FakeSystem& machine) { replace_guest(machine, lines); };
}

Build guest_with(const std::string& line)
{
    return guest(healthy_guest + line + "\n");
}

Build mapped(const std::string& id)
{
    return [id](FakeSystem& machine) {
        replace_guest(machine, guest_without("hostpci0", "hostpci0: mapping=arc,pcie=1\n"));
        machine.file("/etc/pve/mapping/pci.cfg", "arc\n\tmap id=" + id +
                                                     ",iommugroup=" + machine.group_of(gpu) +
                                                     ",node=pve1,path=" + gpu + ",subsystem-id=1af4:1100\n");
    };
}

void add_second_node(FakeSystem& machine)
{
    machine.file("/sys/devices/system/node/node1/cpulist", "8-15\n");
}

Build report(const std::string& outcome, const std::string& error)
{
    return [=](FakeSystem& machine) {
        machine.file(paths::report(101, "pre-start"),
                     R"({"phase":"pre-start","outcome":")" + outcome + R"(","error":")" + error + "\"}");
    };
}

void add_second_guest(FakeSystem& machine, const std::string& more)
{
    add_vm(machine, 102, healthy_guest + more);
}

void keep(FakeSystem& /*machine*/) {}

} // namespace

std::vector<CheckCase> guest_cases()
{
    return {
        {"guest.config", Verdict::error, guest(guest_without("hostpci0", "hostpci0: 0A:00.0\n")), vm,
         "upper-case"},
        {"guest.config", Verdict::error, guest_with("hostpci2: mapping=gone"), vm, "'gone'"},
        {"guest.device-present", Verdict::error, guest_with("hostpci2: 77:00.0"), vm, "'77:00.0'"},
        {"guest.mapping", Verdict::error, mapped("8086:56a5"), vm, "'8086:56a6'", mapped("8086:56a6")},
        {"guest.mdev", Verdict::error,
         [](FakeSystem& m) {
             add_slot(m);
             replace_guest(m, healthy_guest + "hostpci2: 06:00,mdev=nvidia-63\n");
         },
         vm, "2 functions",
         [](FakeSystem& m) {
             add_slot(m);
             replace_guest(m, healthy_guest + "hostpci2: 06:00.0,mdev=nvidia-63\n");
         }},
        {"guest.shared-card", Verdict::note, [](FakeSystem& m) { add_second_guest(m, ""); }, gpu,
         "VM 101, VM 102"},
        {"guest.shared-card", Verdict::warning,
         [](FakeSystem& m) {
             replace_guest(m, healthy_guest + "onboot: 1\n");
             add_second_guest(m, "onboot: 1\n");
         },
         gpu, "more than one"},
        {"guest.migration", Verdict::note, [](FakeSystem& m) { join_cluster(m); }, vm, "of this node"},
        {"guest.migration", Verdict::warning,
         [](FakeSystem& m) {
             join_cluster(m);
             m.file("/etc/pve/ha/resources.cfg", "vm: 101\n\tstate started\n");
         },
         vm, "resources.cfg"},
        {"guest.hookscript", Verdict::error,
         [](FakeSystem& m) { m.tree().erase("/var/lib/vz/snippets/pve-gpu-hook"); }, vm, "absent"},
        {"guest.hookscript", Verdict::error,
         [](FakeSystem& m) { m.set_rights("/usr/sbin/pve-gpu-hook", 0, 0644); }, vm, "not executable"},
        {"guest.hookscript", Verdict::error,
         guest(guest_without("hookscript", "hookscript: nfs:snippets/pve-gpu-hook\n")), vm, "storage"},
        {"guest.hookscript", Verdict::unknown, [](FakeSystem& m) { join_cluster(m); }, vm, "other nodes"},
        {"guest.last-run", Verdict::error, report("refused", "'0000:03:00.0' is in use by VM 102"), vm,
         "VM 102"},
        {"guest.machine", Verdict::error, guest(guest_without("machine")), vm, "does not start"},
        {"guest.machine", Verdict::note,
         guest("bios: ovmf\nhostpci0: 0000:03:00.0\nhostpci1: 0000:04:00.0\n"), vm, "i440fx"},
        {"guest.firmware", Verdict::note, guest(guest_without("bios")), vm, "seabios"},
        {"guest.pcie", Verdict::note, guest(guest_without("hostpci0", "hostpci0: 0000:03:00.0\n")), vm,
         "hostpci0"},
        {"guest.x-vga", Verdict::error,
         [](FakeSystem& m) {
             set_attribute(m, gpu, "class", "0x038000\n");
             replace_guest(m, "machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\n");
         },
         vm, "0x038000", guest("machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\n")},
        {"guest.x-vga", Verdict::warning,
         guest("machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\nhostpci1: 0000:04:00.0,x-vga=1\n"), vm,
         "2 'hostpci'"},
        {"guest.cpu", Verdict::warning, guest(guest_without("cpu")), vm, "kvm64"},
        {"guest.cpu", Verdict::note, guest(guest_without("cpu", "cpu: x86-64-v2-AES\n")), vm, "x86-64-v2-AES",
         guest(guest_without("cpu", "cpu: cputype=host,hidden=1\n"))},
        {"guest.balloon", Verdict::note, guest(guest_without("balloon", "balloon: 2048\n")), vm, "2048",
         guest(guest_without("balloon"))},
        {"guest.numa", Verdict::note, add_second_node, vm, "no 'affinity'"},
        {"guest.numa", Verdict::warning,
         [](FakeSystem& m) {
             add_second_node(m);
             replace_guest(m, healthy_guest + "affinity: 4-9\n");
         },
         vm, "of another",
         [](FakeSystem& m) {
             add_second_node(m);
             replace_guest(m, healthy_guest + "affinity: 0-3,6\n");
         }},
        {"guest.numa", Verdict::unknown,
         [](FakeSystem& m) {
             add_second_node(m);
             set_attribute(m, gpu, "numa_node", "-1\n");
         },
         vm, "does not say"},
        {"guest.hibernate", Verdict::error, guest_with("lock: suspended"), vm, "'suspended'",
         guest_with("lock: backup")},
        {"guest.ram-snapshots", Verdict::note,
         guest(healthy_guest + "\n[before]\nmemory: 512\nvmstate: local:101/vm-101-state-before.raw\n"), vm,
         "'before'", guest(healthy_guest + "\n[before]\nmemory: 512\n")},
    };
}

std::vector<CheckCase> log_cases()
{
    const auto said = [](const std::string& check, Verdict verdict, const std::string& message,
                         const std::string& subject = "log") {
        return CheckCase{check, verdict, [=](FakeSystem& m) { add_to_kernel_log(m, message); }, subject, "",
                         keep,  true};
    };
    return {
        {"log.readable", Verdict::unknown, [](FakeSystem& m) { m.tree().erase("/dev/kmsg"); }, "log",
         "/dev/kmsg"},
        said("log.reset-timeout", Verdict::error,
             "vfio-pci 0000:03:00.0: not ready 65535ms after FLR; giving up", gpu),
        said("log.d3cold", Verdict::error,
             "vfio-pci 0000:03:00.0: Unable to change power state from D3cold to D0, device inaccessible",
             gpu),
        said("log.power-state-refused", Verdict::warning,
             "vfio-pci 0000:03:00.0: Refused to change power state, currently in D3", gpu),
        said("log.header-type", Verdict::error, "pci 0000:03:00.0: unknown header type 7f, ignoring device",
             gpu),
        said("log.header-type-qemu", Verdict::error,
             "kvm: -device vfio-pci,host=0000:03:00.0: vfio 0000:03:00.0: Unknown PCI header type '127'",
             gpu),
        said("log.bar-reserve", Verdict::warning,
             "vfio-pci 0000:03:00.0: BAR 2: can't reserve [mem 0x6000000000-0x60ffffffff 64bit pref]", gpu),
        said("log.bar-no-space", Verdict::error,
             "pci 0000:03:00.0: BAR 2 [mem size 0x100000000 64bit pref]: can't assign; no space", gpu),
        said("log.reset-ioctl", Verdict::note,
             "error writing '1' to '/sys/bus/pci/devices/0000:03:00.0/reset': Inappropriate ioctl for device",
             gpu),
        said("log.assign-not-permitted", Verdict::error,
             "Failed to assign device \"x\": Operation not permitted"),
        said("log.group-not-viable", Verdict::error,
             "vfio 0000:03:00.0: group 15 is not viable Please ensure all devices", gpu),
        said("log.interrupt-remapping", Verdict::error,
             "Interrupt Remapping hardware not found, passing devices to unprivileged domains is insecure."),
        said("log.no-interrupt-remapping", Verdict::error,
             "vfio_iommu_type1_attach_group: No interrupt remapping for device 0000:03:00.0. Use the module "
             "param "
             "\"allow_unsafe_interrupts\" to enable VFIO IOMMU support on this platform",
             gpu),
        said("log.no-iommu", Verdict::error, "No IOMMU detected, please activate it."),
        said("log.iommu-not-present", Verdict::error, "cannot prepare PCI pass-through, IOMMU not present"),
        said("log.took-too-long", Verdict::warning,
             "Failed to override IOMMU group driver: Device took too long to activate"),
        said("log.code-43", Verdict::warning,
             "Windows has stopped this device because it has reported problems. (Code 43)"),
        said("log.busy", Verdict::warning,
             "vfio 0000:03:00.0: failed to open /dev/vfio/15: Device or resource busy", gpu),
        said("log.device-busy", Verdict::warning, "cannot bind: Device busy"),
        said("log.usage-count", Verdict::error,
             "NVRM: Attempting to remove device 0000:03:00.0 with non-zero usage count!", gpu),
        said("log.fallen-off", Verdict::error, "NVRM: GPU 0000:03:00.0: GPU has fallen off the bus.", gpu),
        said("log.card-not-present", Verdict::error,
             "pcieport 0000:00:1c.0: pciehp: Slot(4): Card not present", "0000:00:1c.0"),
        said("log.aer-fatal", Verdict::error,
             "pcieport 0000:00:1c.0: AER: Uncorrectable (Fatal) error message received from 0000:03:00.0",
             "0000:00:1c.0"),
        said("log.dma-fault", Verdict::warning,
             "DMAR: [DMA Read NO_PASID] Request device [03:00.0] fault addr 0xff000 [fault reason 0x06]"),
        said("log.io-page-fault", Verdict::warning,
             "vfio-pci 0000:03:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e address=0x0]", gpu),
        said("log.dma-map", Verdict::warning,
             "vfio_container_dma_map(0x5, 0x3800000000, 0x800000000, 0x7) = -22"),
        said("log.mapping-invalid", Verdict::error,
             "PCI device mapping invalid (hardware probably changed): 'id'"),
        said("log.q35", Verdict::error,
             "q35 machine model is not enabled at /usr/share/perl5/PVE/QemuServer/PCI.pm"),
        said("log.ct-device", Verdict::error, "Device /dev/nvidia0 does not exist"),
        said("log.reset-method", Verdict::warning,
             "pci 0000:03:00.0: Unsupported reset method 'device_specific'", gpu),
    };
}

} // namespace pvegpu::testing
