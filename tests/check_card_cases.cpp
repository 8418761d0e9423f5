#include "check_cases.hpp"
#include "pci/config_space.hpp"

namespace pvegpu::testing {
namespace {

const std::string gpu = "0000:03:00.0";
const std::string port = "0000:00:1c.0";

// VM 101 is passed this GPU, besides the healthy one.
void pass_too(FakeSystem& machine, const std::string& selector)
{
    replace_guest(machine, healthy_guest + "hostpci2: " + selector + ",pcie=1\n");
}

void add_unpassed_card(FakeSystem& machine, std::uint16_t vendor, std::uint16_t device,
                       const std::vector<std::string>& resets, std::uint64_t bar = 0x10000000)
{
    machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x21});
    machine.add_function("0000:00:01.0", "0000:21:00.0",
                         {.vendor = vendor,
                          .device = device,
                          .class_code = 0x030000,
                          .driver = "vfio-pci",
                          .bars = {{0, 0x8000000000, bar, true}},
                          .reset_methods = resets});
}

void add_card(FakeSystem& machine, std::uint16_t vendor, std::uint16_t device,
              const std::vector<std::string>& resets, std::uint64_t bar = 0x10000000)
{
    add_unpassed_card(machine, vendor, device, resets, bar);
    pass_too(machine, "21:00.0");
}

void set_bytes(FakeSystem& machine, std::size_t at, std::string_view bytes)
{
    const auto path = "/sys/bus/pci/devices/" + gpu + "/config";
    auto config = machine.read_within(path, config_bytes, Milliseconds(1)).text;
    machine.file(path, config.replace(at, bytes.size(), bytes));
}

void add_disk_to_group(FakeSystem& machine)
{
    machine.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x31});
    machine.add_function("0000:00:1d.0", "0000:31:00.0", disk);
    machine.set_group(40, {gpu, "0000:31:00.0"});
}

void use_disk(FakeSystem& machine)
{
    machine.add_node("0000:31:00.0", "nvme/nvme0/nvme0n1", "/dev/nvme0n1", {259, 0, true});
    machine.file("/proc/self/mountinfo", "25 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
}

void add_nvidia_instances(FakeSystem& machine, unsigned count)
{
    add_card(machine, 0x10de, 0x2331, {"flr", "bus"});
    machine.file("/proc/driver/nvidia/gpus/0000:21:00.0/information",
                 "Model: \t\t NVIDIA H100\nDevice Minor: \t 0\n");
    for (unsigned i = 1; i <= count; ++i)
        machine.file("/proc/driver/nvidia/capabilities/gpu0/mig/gi" + std::to_string(i) + "/access", "");
}

void add_twin(FakeSystem& machine)
{
    machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x21});
    machine.add_function("0000:00:01.0", "0000:21:00.0", arc_gpu);
}

void pass_slot(FakeSystem& machine, const std::string& hosts)
{
    add_slot(machine, {.driver = "vfio-pci", .group = 60});
    pass_too(machine, hosts);
}

void map_big(FakeSystem& machine, const std::string& path)
{
    machine.file("/etc/pve/mapping/pci.cfg",
                 "big\n\tmap id=10de:2204,iommugroup=60,node=pve1,path=" + path +
                     ",subsystem-id=1af4:1100\n"
                     "\tmap id=10de:2204,node=pve2,path=0000:41:00.0,subsystem-id=1af4:1100\n");
}

void pass_apu(FakeSystem& machine)
{
    add_apu(machine, "vfio-pci");
    pass_too(machine, "0c:00.0");
}

// The GPU for VM 101, its audio for VM 102.
void halves_for_two_guests(FakeSystem& machine)
{
    pass_slot(machine, "06:00.0");
    add_vm(machine, 102, "hostpci0: 06:00.1,pcie=1\n");
}

void two_cards_in_a_group(FakeSystem& machine)
{
    add_slot(machine, {.driver = "vfio-pci", .group = 60});
    add_slot(machine, {.port = "0000:00:02.1", .bus = 0x07, .driver = "vfio-pci", .group = 60});
    pass_too(machine, "06:00");
    add_vm(machine, 102, "hostpci0: 07:00,pcie=1\n");
}

// Sixteen lines, and the card's audio in none of them.
std::string full_guest()
{
    auto lines = guest_without("hostpci1");
    for (unsigned i = 1; i < 16; ++i)
        lines += "hostpci" + std::to_string(i) + ": 77:00." + std::to_string(i % 8) + "\n";
    return lines;
}

void give_to_vgpu_driver(FakeSystem& machine)
{
    add_card(machine, 0x10de, 0x2331, {"flr"});
    machine.add_driver("nvidia", {"10de:2331"});
    machine.write("/sys/bus/pci/drivers/vfio-pci/unbind", "0000:21:00.0", Milliseconds(1));
    machine.write("/sys/bus/pci/drivers/nvidia/bind", "0000:21:00.0", Milliseconds(1));
    machine.tree().add_directory("/sys/module/nvidia_vgpu_vfio");
}

// 256 GiB, for a guest with this processor.
Build large_card_and(const std::string& cpu)
{
    return [=](FakeSystem& machine) {
        add_card(machine, 0x10de, 0x2335, {"flr"}, 0x4000000000);
        replace_guest(machine,
                      guest_without("cpu: host", "cpu: " + cpu + "\n") + "hostpci2: 21:00.0,pcie=1\n");
        machine.file("/etc/pve/virtual-guest/cpu-models.conf",
                     "cpu-model: big\n\tphys-bits host\n\treported-model kvm64\n\n"
                     "cpu-model: same\n\treported-model host\n\ncpu-model: old\n\tflags +aes\n");
    };
}

void make_sleep(FakeSystem& machine)
{
    set_attribute(machine, gpu, "power_state", "D3cold\n");
    set_attribute(machine, port, "power_state", "D3hot\n");
    set_attribute(machine, port, "power/runtime_status", "suspended\n");
}

} // namespace

std::vector<CheckCase> card_cases()
{
    return {
        {"card.alive", Verdict::error, [](FakeSystem& m) { m.dies(gpu); }, gpu, "all ones"},
        {"card.alive", Verdict::unknown, make_sleep, gpu, "would wake it"},
        {"card.alive", Verdict::error,
         [](FakeSystem& m) { m.hang_read("/sys/bus/pci/devices/0000:03:00.0/config"); }, gpu, "in time"},
        {"card.power", Verdict::note,
         [](FakeSystem& m) {
             make_sleep(m);
             replace_guest(m, guest_without("hookscript"));
         },
         gpu, "'D3cold'", make_sleep},
        {"card.power", Verdict::warning,
         [](FakeSystem& m) {
             make_sleep(m);
             replace_guest(m, guest_without("hookscript"));
             m.add_process(3101, "kvm");
             m.file("/run/qemu-server/101.pid", "3101\n");
         },
         gpu, "'D3cold'"},
        {"card.reset", Verdict::warning, [](FakeSystem& m) { replace_guest(m, guest_without("hookscript")); },
         gpu, "no hook is attached"},
        {"card.reset", Verdict::warning,
         [](FakeSystem& m) {
             add_unpassed_card(m, 0x10de, 0x2b85, {"flr", "bus"});
             add_vm(m, 102, "hostpci0: 21:00.0,pcie=1\n");
         },
         "0000:21:00.0", "does not come back",
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2b85, {"flr", "bus"});
         }},
        // The dry run says so too: this model does not come back from a bus reset.
        {.check = "card.reset",
         .verdict = Verdict::note,
         .fires = [](FakeSystem& m) { add_card(m, 0x1002, 0x67df, {"bus"}); },
         .subject = "0000:21:00.0",
         .says = "the hook has none: the card below '0000:00:01.0' cannot be reset (this model is known",
         .quiet =
             [](FakeSystem& m) {
                 add_card(m, 0x1002, 0x67df, {"device_specific", "bus"});
             },
         .fix = "see 'reset.module'"},
        {.check = "card.reset",
         .verdict = Verdict::warning,
         .fires = [](FakeSystem& m) { add_card(m, 0x10de, 0x1eb8, {"bus"}); }, // no module for that one
         .subject = "0000:21:00.0",
         .says = "the hook has none",
         .fix = "reboot the host"},
        {.check = "card.reset",
         .verdict = Verdict::note,
         .fires =
             [](FakeSystem& m) {
                 m.file("/etc/pve-gpu-hook/settings.json", R"({"guests": {"101": {"strategy": "off"}}})");
             },
         .subject = gpu,
         .says = "the hook leaves this card as it is",
         .fix = "'strategy' to 'cycle'"},
        {.check = "card.reset",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 m.file("/etc/pve-gpu-hook/settings.json", R"({"strategy": "remove-rescan"})");
             },
         .subject = gpu,
         .says = "the settings say so",
         .fix = "reboot the host"},
        {"card.known", Verdict::note, [](FakeSystem& m) { add_card(m, 0x10de, 0x2204, {"flr"}); },
         "0000:21:00.0", "10de:2204"},
        {"card.link", Verdict::warning,
         [](FakeSystem& m) { set_attribute(m, port, "current_link_width", "4\n"); }, gpu, "slot x16, card x8",
         // The endpoint behind the card's own switch always says x1.
         [](FakeSystem& m) {
             set_attribute(m, gpu, "current_link_width", "1\n");
             set_attribute(m, gpu, "max_link_width", "1\n");
         }},
        {"card.link", Verdict::unknown,
         [](FakeSystem& m) { set_attribute(m, port, "current_link_width", "255\n"); }, gpu, "says nothing"},
        {"card.errors", Verdict::warning,
         [](FakeSystem& m) { set_attribute(m, port, "aer_dev_fatal", "DLP 2\nTOTAL_ERR_FATAL 2\n"); }, gpu,
         "2 fatal",
         [](FakeSystem& m) { set_attribute(m, port, "aer_dev_correctable", "RxErr 3\nTOTAL_ERR_COR 3\n"); }},
        {.check = "card.errors",
         .verdict = Verdict::note,
         .fires =
             [](FakeSystem& m) {
                 set_attribute(m, port, "aer_dev_fatal", "DLP 2\nTOTAL_ERR_FATAL 2\n");
                 add_to_kernel_log(m, "vfio-pci 0000:04:00.0: not ready 65535ms after bus reset; giving up");
             },
         .subject = gpu,
         .says = "2 fatal",
         .fix = "not from its seat"},
        {"card.errors", Verdict::unknown,
         [](FakeSystem& m) {
             for (const auto* address : {"0000:00:1c.0", "0000:03:00.0", "0000:04:00.0"})
                 m.tree().erase("/sys/bus/pci/devices/" + std::string(address) + "/aer_dev_fatal");
         },
         gpu, "absent",
         [](FakeSystem& m) { // a processor's own GPU has no such counters
             replace_guest(m, healthy_guest + "hostpci2: 00:02.0\n");
             m.write("/sys/bus/pci/drivers/i915/unbind", "0000:00:02.0", Milliseconds(1));
         }},
        {"reset.module", Verdict::warning, [](FakeSystem& m) { add_card(m, 0x1002, 0x731f, {"bus"}); },
         "0000:21:00.0", "not loaded",
         [](FakeSystem& m) {
             add_card(m, 0x1002, 0x731f, {"device_specific", "bus"});
             m.tree().add_directory("/sys/module/vendor_reset");
         }},
        {"reset.module", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x1002, 0x731f, {"bus"});
             m.tree().add_directory("/sys/module/vendor_reset");
         },
         "0000:21:00.0", "is 'bus'", [](FakeSystem&) {}, true},
        {"reset.module", Verdict::note,
         [](FakeSystem& m) { m.tree().add_directory("/sys/module/vendor_reset"); }, "host",
         "no passed card needs it", [](FakeSystem&) {}, true},

        {"bars.assigned", Verdict::error,
         [](FakeSystem& m) { set_bytes(m, 0x10, std::string("\x0c\0\0\0", 4)); }, gpu, "BAR 0"},
        {"bars.above-4g", Verdict::note,
         [](FakeSystem& m) {
             set_attribute(m, gpu, "resource", "0x00000000a0000000 0x00000000afffffff 0x000000000014220c\n");
         },
         gpu, "below 4 GiB"},
        {"bars.resizable", Verdict::warning,
         [](FakeSystem& m) { set_attribute(m, gpu, "resource2_resize", "0000000000003f00\n"); }, gpu,
         "4 GiB of 8 GiB"},
        {"bars.resizable", Verdict::unknown, make_sleep, gpu, "would wake it"},
        {"bars.large-memory", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2335, {"flr"}, 0x4000000000);
             replace_guest(m,
                           guest_without("cpu: host", "cpu: x86-64-v2-AES\n") + "hostpci2: 21:00.0,pcie=1\n");
         },
         "0000:21:00.0", "256 GiB",
         [](FakeSystem& m) { add_card(m, 0x10de, 0x2335, {"flr"}, 0x4000000000); }},
        {"bars.large-memory", Verdict::warning, large_card_and("custom-old"), "0000:21:00.0", "custom-old",
         large_card_and("custom-big")},
        {"bars.large-memory", Verdict::warning, large_card_and("x86-64-v2-AES"), "0000:21:00.0",
         "x86-64-v2-AES", large_card_and("cputype=custom-same,flags=+aes")},
        {"bars.large-memory", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2335, {"flr"}, 0x4000000000);
             replace_guest(m, guest_without("bios") + "hostpci2: 21:00.0,pcie=1\n");
         },
         "0000:21:00.0", "SeaBIOS", [](FakeSystem&) {}, true},

        {"card.companions", Verdict::warning,
         [](FakeSystem& m) { replace_guest(m, guest_without("hostpci1")); }, gpu,
         "'0000:04:00.0' (8086:4f92)"},
        // What else the line says stays, and a card that nobody resets whole needs no companion.
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci"});
                 replace_guest(m,
                               healthy_guest + "hostpci2: 06:00.0,x-vga=1,romfile=a.bin,rombar=0,pcie=1\n");
             },
         .subject = "0000:06:00.0",
         .says = "'0000:06:00.1' (10de:1aef)",
         .quiet = pass_apu,
         .fix = "qm set 101 --hostpci3 0000:06:00.1,pcie=1"},
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci"});
                 m.add_function("0000:00:01.0", "0000:06:00.2", usb_controller);
                 replace_guest(m, healthy_guest +
                                      "hostpci2: pcie=1,host=06:00.0,device-id=0x1234\nhostpci3: 06:00.1\n");
             },
         .subject = "0000:06:00.0",
         .says = "'0000:06:00.2' (10de:1ad8)",
         .quiet = [](FakeSystem& m) { pass_slot(m, "06:00.0;06:00.1"); },
         .fix = "qm set 101 --hostpci4 0000:06:00.2,pcie=1"},
        // Virtual functions are nobody's companions, on whatever slot.
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 pass_slot(m, "06:00.0");
                 m.add_virtual_function("0000:06:00.0", "0000:06:00.4");
             },
         .subject = "0000:06:00.0",
         .says = "'0000:06:00.1' (10de:1aef) is on",
         .quiet = [](FakeSystem& m) { pass_slot(m, "06:00.0;06:00.1"); },
         .fix = "qm set 101 --hostpci3 0000:06:00.1,pcie=1"},
        // One entry for the slot, and every other entry as it was: two entries of a node are alternatives.
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci", .group = 60});
                 replace_guest(m, healthy_guest + "hostpci2: mapping=big,pcie=1\n");
                 map_big(m, "0000:06:00.0");
             },
         .subject = "0000:06:00.0",
         .says = "'0000:06:00.1' (10de:1aef)",
         .quiet =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci", .group = 60});
                 replace_guest(m, healthy_guest + "hostpci2: mapping=big,pcie=1\n");
                 map_big(m, "0000:06:00");
             },
         .fix = "pvesh set /cluster/mapping/pci/big --map "
                "id=10de:2204,iommugroup=60,node=pve1,path=0000:06:00,subsystem-id=1af4:1100 --map "
                "id=10de:2204,node=pve2,path=0000:41:00.0,subsystem-id=1af4:1100"},
        // On another bus, or where 'args' names the device: a mapping and a line of its own.
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 replace_guest(m, "machine: q35\nhostpci0: mapping=arc,pcie=1\n");
                 m.file("/etc/pve/mapping/pci.cfg", "arc\n\tmap id=8086:56a6,iommugroup=" + m.group_of(gpu) +
                                                        ",node=pve1,path=" + gpu +
                                                        ",subsystem-id=1af4:1100\n");
             },
         .subject = gpu,
         .says = "'0000:04:00.0'",
         .fix = "node=pve1,path=0000:04:00.0,subsystem-id=1af4:1100; qm set 101 --hostpci1 "
                "mapping=arc-more,pcie=1"},
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_slot(m, {.driver = "vfio-pci", .group = 60});
                 replace_guest(m, healthy_guest + "args: -set device.hostpci2.x-vga=on\n" +
                                      "hostpci2: mapping=big,pcie=1\n");
                 map_big(m, "0000:06:00.0");
             },
         .subject = "0000:06:00.0",
         .says = "'0000:06:00.1' (10de:1aef)",
         .fix = "qm set 101 --hostpci3 mapping=big-more,pcie=1"},
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires = [](FakeSystem& m) { replace_guest(m, full_guest()); },
         .subject = gpu,
         .says = "'0000:04:00.0'",
         .fix = "the VM has no 'hostpci' line left"},
        {.check = "card.companions",
         .verdict = Verdict::warning,
         .fires = halves_for_two_guests,
         .subject = "0000:06:00.0",
         .says = "VM 102 is passed '0000:06:00.1'",
         .quiet = [](FakeSystem& m) { pass_slot(m, "06:00"); },
         .fix = "first take it out"},
        {"card.twins", Verdict::note,
         [](FakeSystem& m) {
             add_twin(m);
             m.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:56a6\n");
         },
         gpu, "'0000:21:00.0'", add_twin}, // bound by address already
        {"card.twins", Verdict::note,
         [](FakeSystem& m) {
             add_twin(m);
             replace_guest(m, guest_without("hookscript"));
         },
         gpu, "'0000:21:00.0'",
         [](FakeSystem& m) { // another VM's, though its lines cannot be resolved
             add_twin(m);
             replace_guest(m, guest_without("hookscript"));
             add_vm(m, 102, "hostpci0: 21:00.0\nhostpci1: mapping=gone\n");
         }},
        {"group.isolation", Verdict::warning, add_disk_to_group, gpu, "a disk controller",
         [](FakeSystem& m) {
             m.set_group(40, {gpu, "0000:04:00.0"});
         }},
        {"group.isolation", Verdict::error,
         [](FakeSystem& m) {
             add_disk_to_group(m);
             use_disk(m);
         },
         gpu, "in use"},
        {"group.isolation", Verdict::error, [](FakeSystem& m) { m.without_iommu_group(gpu); }, gpu,
         "iommu_group"},
        {.check = "group.isolation",
         .verdict = Verdict::warning,
         .fires = halves_for_two_guests,
         .subject = "0000:06:00.0",
         .says = "VM 101 and VM 102 cannot run at the same time",
         .quiet =
             [](FakeSystem& m) {
                 pass_slot(m, "06:00");
                 add_vm(m, 102, "hostpci0: 06:00,pcie=1\n");
             },
         .fix = "pass the whole group to one VM"},
        {.check = "group.isolation",
         .verdict = Verdict::warning,
         .fires = two_cards_in_a_group,
         .subject = "0000:06:00.0",
         .says = "'0000:07:00.0' (10de:2204), which VM 102 is passed"},
        {"card.sriov", Verdict::error, [](FakeSystem& m) { m.add_virtual_function(gpu, "0000:03:00.1"); },
         gpu, "1 virtual function"},
        {"nvidia.vgpu-host-driver", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2331, {"flr"});
             m.tree().add_directory("/sys/bus/pci/devices/0000:21:00.0/mdev_supported_types");
         },
         "0000:21:00.0", "mdev_supported_types", [](FakeSystem& m) { add_card(m, 0x10de, 0x2331, {"flr"}); }},
        {"nvidia.vgpu-host-driver", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2331, {"flr"});
             set_attribute(m, "0000:21:00.0", "nvidia/creatable_vgpu_types", "1428 : NVIDIA H100-40C\n");
         },
         "0000:21:00.0", "nvidia/creatable_vgpu_types is there",
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2331, {"flr"});
             m.tree().add_directory("/sys/module/nvidia_vgpu_vfio");
         }},
        {"nvidia.vgpu-host-driver", Verdict::warning, give_to_vgpu_driver, "0000:21:00.0",
         "leads to 'nvidia'", [](FakeSystem& m) { add_card(m, 0x10de, 0x2331, {"flr"}); }},
        {"nvidia.mig", Verdict::warning, [](FakeSystem& m) { add_nvidia_instances(m, 2); }, "0000:21:00.0",
         "2 GPU instances", [](FakeSystem& m) { add_nvidia_instances(m, 0); }, true},
        {"nvidia.mig", Verdict::unknown,
         [](FakeSystem& m) {
             add_nvidia_instances(m, 0);
             m.tree().add_directory("/proc/driver/nvidia/capabilities/gpu0/mig");
         },
         "0000:21:00.0", "does not say whether MIG mode is on", [](FakeSystem&) {}, true},
        {"nvidia.large-memory", Verdict::note,
         [](FakeSystem& m) { add_card(m, 0x10de, 0x2335, {"flr"}, 0x4000000000); }, "0000:21:00.0",
         "256 GiB; 1 GPU of", [](FakeSystem& m) { add_card(m, 0x10de, 0x2204, {"flr"}); }, true},
        {"nvidia.nvlink", Verdict::note,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2335, {"flr"});
             m.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x31});
             m.add_function("0000:00:1d.0", "0000:31:00.0",
                            {.vendor = 0x10de, .device = 0x22a3, .class_code = 0x068000});
         },
         "host", "1 NVSwitch (", [](FakeSystem& m) { add_card(m, 0x10de, 0x2335, {"flr"}); }, true},
    };
}

} // namespace pvegpu::testing
