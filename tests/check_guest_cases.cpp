#include "check_cases.hpp"
#include "machine/paths.hpp"
#include "proxmox/vm_args.hpp"

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

// VM 101 runs, and the reader of its events is at that; empty: there is none.
void read_by(FakeSystem& machine, const std::string& state)
{
    machine.add_process(4711, "kvm");
    machine.add_process(4712, "pve-gpu-hook");
    machine.file("/run/qemu-server/101.pid", "4711\n");
    if (!state.empty()) machine.file("/run/pve-gpu-hook/events/101", "4711 1000 4712 1000 " + state + "\n");
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

// The processor's own GPU, in the mode that firmware of before UEFI knows.
Build legacy_guest(const std::string& lines, const std::string& options = "")
{
    return [=](FakeSystem& machine) {
        replace_guest(machine, "cpu: host\n" + lines + "hostpci0: 00:02.0,legacy-igd=1" + options + "\n");
    };
}

// Class 3D as hostpci0, class VGA as hostpci1 with x-vga.
void pass_compute_and_display(FakeSystem& machine)
{
    set_attribute(machine, gpu, "class", "0x030200\n");
    replace_guest(machine, "machine: q35\nhostpci0: 0000:03:00.0\nhostpci1: 00:02.0,x-vga=1\n");
}

void add_nic(FakeSystem& machine)
{
    machine.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x31});
    machine.add_function("0000:00:1d.0", "0000:31:00.0", network_card);
}

// On a host with a network card, four days after its start.
Build say_of(const std::string& message)
{
    return [message](FakeSystem& machine) {
        add_nic(machine);
        machine.file("/proc/uptime", "350735.47 234388.90\n");
        add_to_kernel_log(machine, message);
    };
}

// What VM 101 had before the hook.
Build chained_script(const std::string& lines)
{
    return [=](FakeSystem& machine) {
        machine.file(paths::chained_hook(101),
                     R"({"volume":"local:snippets/old.sh","path":"/var/lib/vz/snippets/old.sh"})");
        machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/bash\n" + lines);
    };
}

Build on_nfs(bool answers)
{
    return [=](FakeSystem& machine) {
        machine.file("/etc/pve/storage.cfg",
                     "dir: local\n\tpath /var/lib/vz\n\tcontent snippets\n\n"
                     "nfs: share\n\tserver 192.0.2.1\n\texport /e\n\tcontent snippets\n");
        machine.tree().set_link("/mnt/pve/share/snippets/pve-gpu-hook", std::string(paths::hook_program));
        replace_guest(machine, guest_without("hookscript", "hookscript: share:snippets/pve-gpu-hook\n"));
        if (!answers) machine.hang_read("/mnt/pve/share/snippets/pve-gpu-hook");
    };
}

// A template beside VM 101, and a token of a user with that role on everything.
Build template_with(const std::string& lines, const std::string& role)
{
    return [=](FakeSystem& machine) {
        add_vm(machine, 9000, "template: 1\n" + lines);
        machine.file(std::string(paths::pve_users), "user:tofu@pve:1:0::::::\ntoken:tofu@pve!build:0:0:\n"
                                                    "acl:1:/:tofu@pve:" +
                                                        role + ":\n");
    };
}

} // namespace

std::vector<CheckCase> guest_cases()
{
    return {
        {.check = "guest.template",
         .verdict = Verdict::note,
         .fires = template_with("hookscript: local:snippets/pve-gpu-hook\n", "PVEVMAdmin"),
         .subject = "VM 9000",
         .says = "has 'hookscript: local:snippets/pve-gpu-hook', and /etc/pve/user.cfg has 1 API token",
         .quiet = template_with("hookscript: local:snippets/pve-gpu-hook\n", "PVEAuditor"),
         .silent = true,
         .fix = "pve-gpu-install detach --vm 9000"},
        {.check = "guest.template",
         .verdict = Verdict::note,
         .fires =
             template_with("hostpci0: mapping=arc\nargs: " + std::string(monitor_words) + "\n", "PVEVMAdmin"),
         .subject = "VM 9000",
         .says = "has the hook's monitor in 'args'",
         .quiet = template_with("hostpci0: mapping=arc\nargs: -fw_cfg name=opt/a\n",
                                "PVEVMAdmin"), // nothing of ours
         .fix = "pve-gpu-install detach --vm 9000"},
        {.check = "guest.template",
         .verdict = Verdict::note,
         .fires = template_with("hookscript: local:snippets/other.sh\n", "PVEVMAdmin"),
         .subject = "VM 9000",
         .says = "'hookscript: local:snippets/other.sh'",
         .quiet =
             [](FakeSystem& m) { // no token
                 add_vm(m, 9000, "template: 1\nhookscript: local:snippets/other.sh\nhostpci0: 03:00.0\n");
                 m.file(std::string(paths::pve_users),
                        "user:tofu@pve:1:0::::::\nacl:1:/:tofu@pve:PVEAdmin:\n");
             },
         .silent = true,
         .fix = "qm set 9000 --delete hookscript"},
        {.check = "guest.template",
         .verdict = Verdict::note,
         .fires =
             template_with("hostpci0: 03:00.0\nhostpci1: mapping=arc\nhostpci2: 04:00.0\n", "PVEVMAdmin"),
         .subject = "VM 9000",
         .says = "'hostpci0', 'hostpci2' name addresses",
         .quiet = template_with("hostpci0: mapping=arc\n", "PVEVMAdmin"),
         .fix = "Resource Mappings"},
        {"guest.config", Verdict::error, guest(guest_without("hostpci0", "hostpci0: 0A:00.0\n")), vm,
         "upper-case"},
        {"guest.config", Verdict::error, guest_with("hostpci2: mapping=gone"), vm, "'gone'"},
        {"guest.device-present", Verdict::error, guest_with("hostpci2: 77:00.0"), vm, "'77:00.0'"},
        {"guest.mapping", Verdict::error, mapped("8086:56a5"), vm, "'8086:56a6'", mapped("8086:56a6")},
        {"guest.start", Verdict::error, [](FakeSystem& m) { m.open_vfio(gpu, 4711, "kvm", 102); }, vm,
         "VM 102"},
        {"guest.start", Verdict::error, guest_with("hostpci2: 03:00.0"), vm, "is named by 'hostpci0' and by"},
        {"guest.start", Verdict::error, [](FakeSystem& m) { m.add_virtual_function(gpu, "0000:03:00.4"); },
         vm, "has virtual functions (1)"},
        {"guest.start", Verdict::error, [](FakeSystem& m) { m.loses_bus_numbers("0000:00:1c.0"); }, vm,
         "has lost its bus numbers"},
        {"guest.start", Verdict::error,
         [](FakeSystem& m) {
             m.add_process(812, "tee");
             m.set_task_state(812, 'D', "vfio_unregister_group_dev",
                              "[<0>] vfio_unregister_group_dev+0x1\n[<0>] pci_stop_bus_device+0x1\n"
                              "[<0>] remove_store+0x1\n");
         },
         vm, "pid 812 (tee) blocks the PCI bus"},
        {"guest.start", Verdict::error,
         [](FakeSystem& m) {
             m.add_function("", "0000:00:1f.3", {.class_code = 0x040300});
             m.add_function("", "0000:00:1f.6", network_card);
             m.set_group(77, {"0000:00:1f.3", "0000:00:1f.6"});
             m.file(paths::function(address_of("0000:00:1f.6"), "net/eno1/flags"), "0x1003\n");
             replace_guest(m, healthy_guest + "hostpci2: 00:1f.3\n");
         },
         vm, "network interface 'eno1'", // of a guest that runs nothing is said
         [](FakeSystem& m) {
             m.add_process(4711, "kvm");
             m.file("/run/qemu-server/101.pid", "4711\n");
         },
         true},
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
        {"guest.hookscript", Verdict::unknown, on_nfs(false), vm, "does not answer", on_nfs(true)},
        {.check = "guest.legacy-igd",
         .verdict = Verdict::error,
         .fires = legacy_guest("machine: q35\nvga: none\n"),
         .subject = vm,
         .says = "the machine type is q35",
         .quiet = legacy_guest("vga: none\n"),
         .fix = "qm set 101 --machine pc"},
        {.check = "guest.legacy-igd",
         .verdict = Verdict::error,
         .fires = legacy_guest(""),
         .subject = vm,
         .says = "is not 'vga: none'",
         .quiet = keep,
         .silent = true,
         .fix = "qm set 101 --vga none"},
        {.check = "guest.legacy-igd",
         .verdict = Verdict::error,
         .fires = legacy_guest("vga: none\n", ",x-vga=1"),
         .subject = vm,
         .says = "'x-vga=1' too",
         .quiet = legacy_guest("vga: none\n"),
         .fix = "--hostpci0 '00:02.0,legacy-igd=1'"},
        {"guest.legacy-igd", Verdict::error, guest("vga: none\nhostpci0: 03:00.0,legacy-igd=1\n"), vm,
         "is not at 00:02.0", legacy_guest("vga: none\n")},
        {.check = "guest.hookscript",
         .verdict = Verdict::warning,
         .fires = chained_script("for f in 0 1; do\n  echo 1 > /sys/bus/pci/devices/0000:03:00.$f/remove\n"),
         .subject = vm,
         .says = "which the hook runs first, takes devices off",
         .quiet = chained_script("# echo 1 > /sys/bus/pci/rescan\nlogger pci /remove-all\n"),
         .fix = "rm /var/lib/pve-gpu-hook/chained/101.json"},
        {.check = "guest.hookscript",
         .verdict = Verdict::warning,
         .fires = chained_script("open(my $f, '>', '/sys/bus/pci/rescan'); print $f 1;\n"),
         .subject = vm,
         .says = "pci/rescan",
         .quiet = chained_script("echo 1 > /sys/block/sda/device/rescan_me\n")},
        {.check = "guest.hookscript",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 replace_guest(m, guest_without("hookscript", "hookscript: local:snippets/old.sh\n"));
                 m.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\necho 1 > /sys/bus/pci/rescan\n");
                 m.set_rights("/var/lib/vz/snippets/old.sh", 0, 0755);
             },
         .subject = vm,
         .says = "old.sh' takes devices off",
         .fix = "qm set 101 --delete hookscript; pve-gpu-install --vm 101"},
        {.check = "guest.romfile",
         .verdict = Verdict::error,
         .fires = guest(guest_without("hostpci0", "hostpci0: 0000:03:00.0,romfile=a.bin,pcie=1,rombar=1\n")),
         .subject = vm,
         .says = "'/usr/share/kvm/a.bin' is absent",
         .quiet =
             [](FakeSystem& m) {
                 replace_guest(m, guest_without("hostpci0", "hostpci0: 0000:03:00.0,romfile=a.bin,pcie=1\n"));
                 m.file("/usr/share/kvm/a.bin", "x");
             },
         .silent = true,
         .fix = "qm set 101 --hostpci0 '0000:03:00.0,pcie=1,rombar=1'"},
        {.check = "guest.args",
         .verdict = Verdict::warning,
         .fires = guest(
             "machine: q35\nargs: -device vfio-pci,host=03:00.0,id=g,bus=ich9-pcie-port-1,x-vga=on,"
             "romfile=/usr/share/kvm/a.bin -smbios 'type=0,vendor=A B' -device vfio-pci,host=0000:04:00.0\n"),
         .subject = vm,
         .says = "hands '0000:03:00.0', '0000:04:00.0' to QEMU past Proxmox",
         .quiet = guest_with("args: -smbios type=0 -device virtio-rng-pci"),
         .silent = true,
         .fix = " --hostpci0 0000:03:00.0,pcie=1,x-vga=1,romfile=a.bin --hostpci1 0000:04:00.0,pcie=1"},
        {.check = "guest.args",
         .verdict = Verdict::error,
         .fires = guest_with(R"(args: -device '{"driver":"vfio-pci","host":"0000:03:00.0"}')"),
         .subject = vm,
         .says = "has a 'hostpci' line too",
         .quiet = keep,
         .silent = true,
         .fix = "qm set 101 --delete args"},
        {.check = "guest.args",
         .verdict = Verdict::error,
         .fires =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci"});
                 replace_guest(m, healthy_guest + "hostpci2: 06:00\nargs: -set device.hostpci2.x-vga=on\n");
             },
         .subject = vm,
         .says = "'args' sets something of 'hostpci2'",
         .quiet =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci"});
                 replace_guest(m, healthy_guest + "hostpci2: 06:00\nargs: -set device.hostpci2.0.x-vga=on\n");
             },
         .silent = true,
         .fix = "device.hostpci2.0.x-vga=on"},
        {.check = "guest.args",
         .verdict = Verdict::error,
         .fires = guest_with("args: -set device.hostpci0.1.rombar=0"),
         .subject = vm,
         .says = "of 'hostpci0.1'",
         .quiet = guest_with("args: -set device.hostpci0.rombar=0"),
         .silent = true,
         .fix = "device.hostpci0.rombar=0"},
        {"guest.args", Verdict::warning, guest_with("args: -global vfio-pci.x-no-mmap=on"), vm,
         "through QEMU", guest_with("args: -global vfio-pci.x-no-mmap=off"), true},
        {"guest.args", Verdict::warning, guest_with("args: -machine q35,kernel_irqchip=off"), vm,
         "every interrupt", guest_with("args: -machine q35,kernel_irqchip=on"), true},
        {"guest.args", Verdict::warning, guest_with("args: -accel tcg"), vm, "emulated",
         guest_with("args: -accel kvm"), true},
        {.check = "guest.args",
         .verdict = Verdict::warning,
         .fires = guest_with("kvm: 0"),
         .subject = vm,
         .says = "'kvm: 0'",
         .quiet = guest_with("kvm: 1"),
         .silent = true,
         .fix = "qm set 101 --delete kvm"},
        {"guest.args", Verdict::warning, guest_with("args: -cpu kvm64,+aes"), vm,
         "nothing of 'cpu: host' counts", keep, true},
        {.check = "guest.own-reboot",
         .verdict = Verdict::note,
         .fires = guest_with("reboot: 0"),
         .subject = vm,
         .says = "'reboot: 0'",
         .fix = "qm set 101 --delete reboot"},
        {.check = "guest.own-reboot",
         .verdict = Verdict::note,
         .fires = guest(guest_without("args", "args: -no-reboot -smbios type=1\n")),
         .subject = vm,
         .says = "'-no-reboot'",
         .fix = "qm set 101 --args '-smbios type=1'"},
        {.check = "guest.own-reboot",
         .fires = guest(guest_without("args")),
         .subject = vm,
         .says = "no monitor",
         .quiet = [](FakeSystem& m) { read_by(m, "armed"); },
         .fix = "pve-gpu-install --vm 101 --guest-reboot clean"},
        {.check = "guest.own-reboot",
         .verdict = Verdict::note,
         .fires =
             [](FakeSystem& m) {
                 replace_guest(m, guest_without("args") + "\n[PENDING]\nargs: " + std::string(monitor_words));
                 m.add_process(4711, "kvm");
                 m.file("/run/qemu-server/101.pid", "4711\n");
             },
         .subject = vm,
         .says = "as it runs",
         .fix = "qm reboot 101"},
        {.check = "guest.own-reboot",
         .fires = [](FakeSystem& m) { read_by(m, ""); },
         .subject = vm,
         .says = "nobody reads its events",
         .fix = "systemctl restart pve-gpu-hook-events@101"},
        {.check = "guest.own-reboot",
         .fires = [](FakeSystem& m) { read_by(m, "refused"); },
         .subject = vm,
         .says = "does not know 'set-action'",
         .fix = "pve-qemu-kvm"},
        {.check = "guest.own-reboot",
         .verdict = Verdict::note,
         .fires = [](FakeSystem& m) { read_by(m, "waits it is being backed up"); },
         .subject = vm,
         .says = "for now",
         .fix = "journalctl -u pve-gpu-hook-events@101"},
        {"guest.last-run", Verdict::error, report("refused", "'0000:03:00.0' is in use by VM 102"), vm,
         "VM 102"},
        {"guest.machine", Verdict::error, guest(guest_without("machine")), vm, "does not start"},
        // What else the line says stays.
        {.check = "guest.machine",
         .verdict = Verdict::error,
         .fires = guest(guest_without("machine", "machine: pc-i440fx-9.0,viommu=virtio\n")),
         .subject = vm,
         .says = "does not start",
         .quiet = keep,
         .fix = "qm set 101 --machine q35,viommu=virtio"},
        {.check = "guest.cpu",
         .verdict = Verdict::warning,
         .fires = guest(guest_without("cpu", "cpu: cputype=kvm64,hidden=1,flags=+aes;-pcid\n")),
         .subject = vm,
         .says = "kvm64",
         .quiet = keep,
         .fix = "qm set 101 --cpu 'host,hidden=1,flags=+aes;-pcid'"},
        {"guest.machine", Verdict::note,
         guest("bios: ovmf\nhostpci0: 0000:03:00.0\nhostpci1: 0000:04:00.0\n"), vm, "i440fx",
         legacy_guest("vga: none\n")},
        {"guest.firmware", Verdict::note, guest(guest_without("bios")), vm, "seabios",
         legacy_guest("vga: none\n")},
        {.check = "guest.firmware",
         .verdict = Verdict::note,
         .fires = guest(guest_without("bios") + "scsi0: local-lvm:vm-101-disk-0,size=32G\n"),
         .subject = vm,
         .says = "seabios",
         .quiet = keep,
         .fix = "qm set 101 --bios ovmf --efidisk0 local-lvm:1"},
        {"guest.pcie", Verdict::note, guest(guest_without("hostpci0", "hostpci0: 0000:03:00.0\n")), vm,
         "hostpci0", legacy_guest("vga: none\n")},
        {"guest.x-vga", Verdict::error,
         [](FakeSystem& m) {
             set_attribute(m, gpu, "class", "0x038000\n");
             replace_guest(m, "machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\n");
         },
         vm, "0x038000", guest("machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\n")},
        {"guest.x-vga", Verdict::error,
         [](FakeSystem& m) {
             pass_compute_and_display(m);
             replace_guest(m, "machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\nhostpci1: 00:02.0\n");
         },
         vm, "hostpci0 has 'x-vga=1' with SeaBIOS", pass_compute_and_display},
        {"guest.x-vga", Verdict::warning,
         guest("machine: q35\nhostpci0: 0000:03:00.0,x-vga=1\nhostpci1: 0000:04:00.0,x-vga=1\n"), vm,
         "2 'hostpci'"},
        {"guest.cpu", Verdict::warning, guest(guest_without("cpu")), vm, "kvm64"},
        {"guest.cpu", Verdict::note, guest(guest_without("cpu", "cpu: x86-64-v2-AES\n")), vm, "x86-64-v2-AES",
         guest(guest_without("cpu", "cpu: cputype=host,hidden=1\n"))},
        {"guest.cpu", Verdict::note,
         [](FakeSystem& m) {
             replace_guest(m, guest_without("cpu", "cpu: custom-old\n"));
             m.file("/etc/pve/virtual-guest/cpu-models.conf", "cpu-model: old\n\tflags +aes\n");
         },
         vm, "'cpu: custom-old', which is 'kvm64'",
         [](FakeSystem& m) {
             replace_guest(m, guest_without("cpu", "cpu: custom-same\n"));
             m.file("/etc/pve/virtual-guest/cpu-models.conf", "cpu-model: same\n    reported-model host\n");
         }},
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
        {"guest.numa", Verdict::warning,
         [](FakeSystem& m) {
             add_second_node(m);
             replace_guest(m, healthy_guest + "numa: 1\nnuma0: cpus=0-3,hostnodes=1,memory=8192\n");
         },
         vm, "other 'hostnodes'",
         [](FakeSystem& m) {
             add_second_node(m);
             replace_guest(m, healthy_guest + "numa: 1\nnuma0: cpus=0-3,hostnodes=0;1,memory=8192\n");
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
    // What is over once the card answers is said of one that does not.
    const auto said_of_dead = [&](const std::string& check, Verdict verdict, const std::string& message,
                                  const std::string& subject = gpu) {
        auto one = said(check, verdict, message, subject);
        one.fires = [=](FakeSystem& m) {
            add_to_kernel_log(m, message);
            m.dies(gpu);
        };
        return one;
    };
    return {
        {"log.readable", Verdict::unknown, [](FakeSystem& m) { m.tree().erase("/dev/kmsg"); }, "log",
         "/dev/kmsg"},
        said_of_dead("log.reset-timeout", Verdict::error,
                     "vfio-pci 0000:03:00.0: not ready 65535ms after FLR; giving up", gpu),
        said_of_dead(
            "log.d3cold", Verdict::error,
            "vfio-pci 0000:03:00.0: Unable to change power state from D3cold to D0, device inaccessible",
            gpu),
        said_of_dead("log.power-state-refused", Verdict::warning,
                     "vfio-pci 0000:03:00.0: Refused to change power state, currently in D3", gpu),
        said_of_dead("log.header-type", Verdict::error,
                     "pci 0000:03:00.0: unknown header type 7f, ignoring device", gpu),
        said_of_dead(
            "log.header-type", Verdict::error,
            "kvm: -device vfio-pci,host=0000:03:00.0: vfio 0000:03:00.0: Unknown PCI header type '127'", gpu),
        said("log.bar-reserve", Verdict::warning,
             "vfio-pci 0000:03:00.0: BAR 2: can't reserve [mem 0x6000000000-0x60ffffffff 64bit pref]", gpu),
        said_of_dead("log.bar-no-space", Verdict::error,
                     "pci 0000:03:00.0: BAR 2 [mem size 0x100000000 64bit pref]: can't assign; no space",
                     gpu),
        {.check = "log.bar-no-space",
         .verdict = Verdict::note,
         .fires = say_of("pci 0000:03:00.0: BAR 2: no space for [mem size 0x100000000 64bit pref]"),
         .subject = gpu,
         .says = "4 days ago (the cause is certain); the card has come back",
         .quiet =
             [](FakeSystem& m) {
                 add_nic(m);
                 add_to_kernel_log(m, "pci 0000:31:00.0: BAR 7: no space for [mem size 0x00100000 64bit]");
                 add_to_kernel_log(m, "pci 0000:00:1d.0: BAR 13: no space for [io  size 0x1000]");
                 add_to_kernel_log(m, "pci 0000:31:00.0: VF BAR 0 [mem size 0x1000]: can't assign; no space");
             },
         .silent = true},
        {.check = "log.bar-harmless",
         .verdict = Verdict::ok,
         .fires = say_of("pci 0000:31:00.0: VF BAR 0 [mem size 0x1000]: can't assign; no space"),
         .subject = "0000:31:00.0",
         .says = "VF BAR 0",
         .quiet = keep,
         .silent = true,
         .fix = "harmless"},
        {.check = "log.card-not-present",
         .verdict = Verdict::note,
         .fires = say_of("pcieport 0000:00:1d.0: pciehp: Slot(4): Card not present"),
         .subject = "0000:00:1d.0",
         .says = "no GPU is there, or behind it",
         .quiet = keep,
         .silent = true},
        {.check = "log.reset-timeout",
         .verdict = Verdict::note,
         .fires = say_of("vfio-pci 0000:03:00.0: not ready 65535ms after FLR; giving up"),
         .subject = gpu,
         .says = "4 days ago (the cause is certain); the card has come back",
         .quiet = keep,
         .silent = true},
        said_of_dead("log.stuck-in-d3", Verdict::error,
                     "vfio 0000:03:00.0: vfio: Unable to power on device, stuck in D3"),
        said("log.reset-bug", Verdict::warning, "amdgpu: the famous Reset Bug"),
        said("log.no-reset", Verdict::warning,
             "vfio: Cannot reset device 0000:03:00.0, no available reset mechanism.", gpu),
        said("log.used-by-vm", Verdict::error, "PCI device '0000:03:00.0' already in use by VMID '102'", gpu),
        said("log.nvidia-version", Verdict::error,
             "Failed to initialize NVML: Driver/library version mismatch"),
        said("log.nvidia-version", Verdict::error,
             "NVRM: API mismatch: the client has the version 535.183.01, but this kernel module 550.90.07"),
        said("log.reset-ioctl", Verdict::note,
             "error writing '1' to '/sys/bus/pci/devices/0000:03:00.0/reset': Inappropriate ioctl for device",
             gpu),
        said("log.assign-not-permitted", Verdict::error,
             "Failed to assign device \"x\": Operation not permitted"),
        said("log.group-not-viable", Verdict::error,
             "vfio 0000:03:00.0: group 15 is not viable Please ensure all devices", gpu),
        said("log.interrupt-remapping", Verdict::error,
             "Interrupt Remapping hardware not found, passing devices to unprivileged domains is insecure."),
        said("log.interrupt-remapping", Verdict::error,
             "vfio_iommu_type1_attach_group: No interrupt remapping for device 0000:03:00.0. Use the module "
             "param "
             "\"allow_unsafe_interrupts\" to enable VFIO IOMMU support on this platform",
             gpu),
        said("log.no-iommu", Verdict::error, "No IOMMU detected, please activate it."),
        said("log.no-iommu", Verdict::error, "cannot prepare PCI pass-through, IOMMU not present"),
        said("log.took-too-long", Verdict::warning,
             "Failed to override IOMMU group driver: Device took too long to activate"),
        said("log.code-43", Verdict::warning,
             "Windows has stopped this device because it has reported problems. (Code 43)"),
        said("log.busy", Verdict::warning,
             "vfio 0000:03:00.0: failed to open /dev/vfio/15: Device or resource busy", gpu),
        said("log.busy", Verdict::warning, "/sys/bus/pci/drivers/vfio-pci/bind: Device or resource busy"),
        said("log.usage-count", Verdict::error,
             "NVRM: Attempting to remove device 0000:03:00.0 with non-zero usage count!", gpu),
        said_of_dead("log.fallen-off", Verdict::error, "NVRM: GPU 0000:03:00.0: GPU has fallen off the bus.",
                     gpu),
        said_of_dead("log.fallen-off", Verdict::error,
                     "NVRM: Xid (PCI:0000:03:00): 79, pid=1234, GPU has fallen off the bus.", gpu),
        {.check = "log.fallen-off",
         .verdict = Verdict::note,
         .fires = say_of("NVRM: Xid (PCI:0000:03:00): 79, GPU has fallen off the bus."),
         .subject = gpu,
         .says = "the card has come back",
         .quiet = keep,
         .silent = true,
         .fix = "it is over; if it comes again"},
        {.check = "log.busy",
         .verdict = Verdict::note,
         .fires =
             [](FakeSystem& m) {
                 add_to_kernel_log(m,
                                   "vfio 0000:03:00.0: failed to open /dev/vfio/15: Device or resource busy");
                 m.add_process(3101, "kvm");
                 m.file("/run/qemu-server/101.pid", "3101\n");
             },
         .subject = gpu,
         .says = "the guest runs by now",
         .quiet = keep,
         .silent = true},
        // Attached already: it is not advised again; else it comes first.
        {.check = "log.dma-fault",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 replace_guest(m, guest_without("hookscript"));
                 add_to_kernel_log(m, "DMAR: [DMA Write] Request device [03:00.0] fault addr 0");
             },
         .subject = gpu,
         .quiet = keep,
         .silent = true,
         .fix = "pve-gpu-install --vm 101"},
        said_of_dead("log.card-not-present", Verdict::error,
                     "pcieport 0000:00:1c.0: pciehp: Slot(4): Card not present", "0000:00:1c.0"),
        said("log.aer-fatal", Verdict::error,
             "pcieport 0000:00:1c.0: AER: Uncorrectable (Fatal) error message received from 0000:03:00.0",
             "0000:00:1c.0"),
        said("log.dma-fault", Verdict::warning,
             "DMAR: [DMA Read NO_PASID] Request device [03:00.0] fault addr 0xff000 [fault reason 0x06]",
             gpu),
        said("log.dma-fault", Verdict::warning,
             "vfio-pci 0000:03:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e address=0x0]", gpu),
        said("log.dma-map", Verdict::warning,
             "vfio_container_dma_map(0x5, 0x3800000000, 0x800000000, 0x7) = -22"),
        said("log.dma-map", Verdict::warning,
             "vfio_container_dma_map(0x55d0, 0x380000000000, 0x10000000, 0x7f) = -22 (Invalid argument)"),
        said("log.dma-map-memory", Verdict::error,
             "vfio_container_dma_map(0x55d0, 0x100000000, 0xf780000000, 0x7f) = -22 (Invalid argument)"),
        said("log.dma-map-memory", Verdict::error,
             "vfio_dma_map(0x55d0, 0xc0000, 0x7ff40000, 0x7f) = -22 (Invalid argument)"),
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
