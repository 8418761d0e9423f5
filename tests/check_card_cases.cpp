#include "check_cases.hpp"
#include "config_space.hpp"

namespace pvegpu::testing {
namespace {

const std::string gpu = "0000:03:00.0";
const std::string port = "0000:00:1c.0";

// VM 101 is passed this GPU, besides the healthy one.
void pass_too(FakeSystem& machine, const std::string& selector)
{
    replace_guest(machine, healthy_guest + "hostpci2: " + selector + ",pcie=1\n");
}

void add_card(FakeSystem& machine, std::uint16_t vendor, std::uint16_t device,
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
        {"card.power", Verdict::warning, make_sleep, gpu, "'D3cold'"},
        {"card.reset", Verdict::warning, [](FakeSystem& m) { replace_guest(m, guest_without("hookscript")); },
         gpu, "no hook is attached"},
        {"card.reset", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2b85, {"flr", "bus"});
         },
         "0000:21:00.0", "does not come back"},
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
        {"card.errors", Verdict::unknown,
         [](FakeSystem& m) {
             for (const auto* address : {"0000:00:1c.0", "0000:03:00.0", "0000:04:00.0"})
                 m.tree().erase("/sys/bus/pci/devices/" + std::string(address) + "/aer_dev_fatal");
         },
         gpu, "absent"},
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
        {"bars.large-memory", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2335, {"flr"}, 0x4000000000);
             replace_guest(m, guest_without("bios") + "hostpci2: 21:00.0,pcie=1\n");
         },
         "0000:21:00.0", "SeaBIOS", [](FakeSystem&) {}, true},

        {"card.companions", Verdict::warning,
         [](FakeSystem& m) { replace_guest(m, guest_without("hostpci1")); }, gpu,
         "'0000:04:00.0' (8086:4f92)"},
        {"card.twins", Verdict::note,
         [](FakeSystem& m) {
             m.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x21});
             m.add_function("0000:00:01.0", "0000:21:00.0", arc_gpu);
         },
         gpu, "'0000:21:00.0'"},
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
        {"card.sriov", Verdict::error, [](FakeSystem& m) { m.add_virtual_function(gpu, "0000:03:00.1"); },
         gpu, "1 virtual function"},
        {"nvidia.vgpu-host-driver", Verdict::warning,
         [](FakeSystem& m) {
             add_card(m, 0x10de, 0x2331, {"flr"});
             m.tree().add_directory("/sys/bus/pci/devices/0000:21:00.0/mdev_supported_types");
         },
         "0000:21:00.0", "mdev_supported_types", [](FakeSystem& m) { add_card(m, 0x10de, 0x2331, {"flr"}); }},
        {"nvidia.mig", Verdict::warning, [](FakeSystem& m) { add_nvidia_instances(m, 2); }, "0000:21:00.0",
         "2 GPU instances", [](FakeSystem& m) { add_nvidia_instances(m, 0); }},
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
