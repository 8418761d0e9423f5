#include "check_cases.hpp"
#include "machine/paths.hpp"
#include "proxmox/vm_args.hpp"

namespace pvegpu::testing {

const std::string healthy_guest = "name: media\n"
                                  "machine: q35\n"
                                  "bios: ovmf\n"
                                  "cpu: host\n"
                                  "memory: 8192\n"
                                  "balloon: 0\n"
                                  "hookscript: local:snippets/pve-gpu-hook\n"
                                  "args: " +
                                  std::string(monitor_words) +
                                  "\n"
                                  "hostpci0: 0000:03:00.0,pcie=1\n"
                                  "hostpci1: 0000:04:00.0,pcie=1\n";

namespace {

constexpr std::uint64_t above_4g = 0x6000000000;

const FunctionFacts host_gpu{.vendor = 0x8086,
                             .device = 0x4680,
                             .class_code = 0x030000,
                             .driver = "i915",
                             .reset_methods = {"flr"},
                             .boot_vga = true};

void add_card(FakeSystem& machine)
{
    auto gpu = arc_gpu;
    auto audio = arc_audio;
    gpu.driver = audio.driver = "vfio-pci";
    gpu.boot_vga = false;
    gpu.bars = {{2, above_4g, 0x100000000, true}};
    gpu.resizable_bars = {2};
    machine.add_driver("i915", {"8086:4680", "8086:56a6"});
    machine.add_function("", "0000:00:02.0", host_gpu);
    machine.add_bridge("", "0000:00:1c.0");
    machine.add_bridge("0000:00:1c.0", "0000:01:00.0");
    machine.add_bridge("0000:01:00.0", "0000:02:01.0");
    machine.add_bridge("0000:01:00.0", "0000:02:04.0");
    machine.add_function("0000:02:01.0", "0000:03:00.0", gpu);
    machine.add_function("0000:02:04.0", "0000:04:00.0", audio);
    set_attribute(machine, "0000:03:00.0", "resource2_resize", "0000000000001f00\n"); // 256 MiB to 4 GiB
    set_attribute(machine, "0000:03:00.0", "numa_node", "0\n");
}

void add_link(FakeSystem& machine, const std::string& address, const std::string& width,
              const std::string& most)
{
    set_attribute(machine, address, "current_link_width", width + "\n");
    set_attribute(machine, address, "max_link_width", most + "\n");
    set_attribute(machine, address, "current_link_speed", "16.0 GT/s PCIe\n");
    set_attribute(machine, address, "max_link_speed", "16.0 GT/s PCIe\n");
}

void add_error_counters(FakeSystem& machine, const std::string& address)
{
    set_attribute(machine, address, "aer_dev_correctable", "RxErr 0\nTOTAL_ERR_COR 0\n");
    set_attribute(machine, address, "aer_dev_fatal", "Undefined 0\nTOTAL_ERR_FATAL 0\n");
    set_attribute(machine, address, "aer_dev_nonfatal", "Undefined 0\nTOTAL_ERR_NONFATAL 0\n");
}

} // namespace

void add_facts_of_the_host(FakeSystem& machine)
{
    machine.file("/sys/kernel/irq/9/chip_name", "IR-IO-APIC\n");
    machine.file(std::string(paths::kernel_lockdown), "[none] integrity confidentiality\n");
    machine.file(std::string(paths::unsafe_interrupts), "N\n");
    machine.file("/etc/modprobe.d/pve-gpu-hook.conf", "softdep i915 pre: vfio-pci\nsoftdep xe pre: vfio-pci\n"
                                                      "softdep snd_hda_intel pre: vfio-pci\n");
    machine.file("/etc/initramfs-tools/modules", "vfio\nvfio_iommu_type1\nvfio_pci\n");
    machine.file("/etc/modules", "# nothing\n");
    machine.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    machine.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n");
    machine.file("/sys/devices/system/node/node0/cpulist", "0-7\n");
    machine.file("/dev/kmsg", "5,1,0,-;Linux version 6.14.8-2-pve\n SUBSYSTEM=pci\n"
                              "30,2,5,-;not the kernel: not ready 65535ms after FLR; giving up\n");
}

void set_attribute(FakeSystem& machine, const std::string& address, const std::string& name,
                   const std::string& text)
{
    machine.file("/sys/bus/pci/devices/" + address + "/" + name, text);
}

void replace_guest(FakeSystem& machine, const std::string& lines)
{
    machine.file("/etc/pve/qemu-server/101.conf", lines);
}

std::string guest_without(const std::string& line_start, const std::string& instead)
{
    auto text = healthy_guest;
    const auto at = text.find(line_start);
    return text.replace(at, text.find('\n', at) + 1 - at, instead);
}

void add_to_kernel_log(FakeSystem& machine, const std::string& message)
{
    machine.file("/dev/kmsg", machine.text("/dev/kmsg") + "\n3,3,9,-;" + message + "\n");
}

void add_healthy_host(FakeSystem& machine)
{
    add_card(machine);
    add_link(machine, "0000:00:1c.0", "8", "16");
    add_link(machine, "0000:01:00.0", "8", "8");
    for (const auto* address : {"0000:00:1c.0", "0000:03:00.0", "0000:04:00.0"})
        add_error_counters(machine, address);
    add_host(machine, {.proxmox = "9.0.10", .running = "root=/dev/mapper/pve-root ro quiet iommu=pt"});
    add_facts_of_the_host(machine);
    add_vm(machine, 101, healthy_guest);
    machine.tree().set_link("/var/lib/vz/snippets/pve-gpu-hook", std::string(paths::hook_program));
    machine.executable("/usr/sbin/pve-gpu-hook");
    machine.file(
        paths::report(101, "pre-start"),
        R"({"phase":"pre-start","outcome":"recovered","started":"2026-11-21T03:04:05Z","elapsed_ms":212})");
}

} // namespace pvegpu::testing
