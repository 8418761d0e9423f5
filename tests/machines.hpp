// Machines that several tests use, in the words of the field. Those with a switch are shaped as the lab's.
#pragma once

#include "fake_system.hpp"

#include <string>

namespace pvegpu::testing {

inline const FunctionFacts arc_gpu{
    .vendor = 0x8086, .device = 0x56a6, .class_code = 0x030000, .driver = "i915"};
inline const FunctionFacts arc_audio{
    .vendor = 0x8086, .device = 0x4f92, .class_code = 0x040300, .driver = "snd_hda_intel"};
inline const FunctionFacts nvidia_gpu{
    .vendor = 0x10de, .device = 0x2204, .class_code = 0x030000, .driver = "nouveau"};
inline const FunctionFacts nvidia_audio{.vendor = 0x10de,
                                        .device = 0x1aef,
                                        .class_code = 0x040300,
                                        .driver = "snd_hda_intel",
                                        .reset_methods = {}};
inline const FunctionFacts usb_controller{
    .vendor = 0x10de, .device = 0x1ad8, .class_code = 0x0c0330, .driver = "xhci_hcd", .reset_methods = {}};
inline const FunctionFacts disk{.vendor = 0x144d,
                                .device = 0xa808,
                                .class_code = 0x010802,
                                .driver = "nvme",
                                .reset_methods = {"flr", "bus"}};
inline const FunctionFacts network_card{.vendor = 0x8086,
                                        .device = 0x1533,
                                        .class_code = 0x020000,
                                        .driver = "igb",
                                        .reset_methods = {"flr", "bus"}};

// An Intel Arc A310: a switch on the card, GPU 03:00.0 and audio 04:00.0 on a bus each, below port 00:1c.0.
struct ArcOptions {
    bool pciehp = false;
    bool reset_subordinate = true;
    std::string driver = "i915"; // of the GPU
};

inline void add_arc(FakeSystem& machine, const ArcOptions& options = {})
{
    const bool reset_subordinate = options.reset_subordinate;
    auto gpu = arc_gpu;
    gpu.driver = options.driver;
    machine.add_driver("i915", {"8086:56a6"});
    machine.add_driver("snd_hda_intel", {"8086:4f92", "10de:1aef"});
    machine.add_bridge("", "0000:00:1c.0",
                       {.pciehp = options.pciehp, .reset_subordinate = reset_subordinate});
    machine.add_bridge("0000:00:1c.0", "0000:01:00.0", {.reset_subordinate = reset_subordinate});
    machine.add_bridge("0000:01:00.0", "0000:02:01.0", {.reset_subordinate = reset_subordinate});
    machine.add_bridge("0000:01:00.0", "0000:02:04.0", {.reset_subordinate = reset_subordinate});
    machine.add_function("0000:02:01.0", "0000:03:00.0", gpu);
    machine.add_function("0000:02:04.0", "0000:04:00.0", arc_audio);
}

// An NVIDIA card: GPU and audio are two functions of one slot, in one IOMMU group, below port 00:01.0.
struct SlotOptions {
    std::string port = "0000:00:01.0";
    std::uint8_t bus = 0x06;
    std::string driver = "nouveau"; // of the GPU
    std::optional<unsigned> group = {};
};

inline void add_slot(FakeSystem& machine, const SlotOptions& options = {})
{
    auto gpu = nvidia_gpu;
    auto audio = nvidia_audio;
    gpu.driver = options.driver;
    gpu.group = audio.group = options.group;
    machine.add_driver("nouveau", {"10de:2204"});
    machine.add_bridge("", options.port, {.secondary_bus = options.bus});
    const auto slot = to_string(PciBus{0, options.bus}) + ":00.";
    machine.add_function(options.port, slot + "0", gpu);
    machine.add_function(options.port, slot + "1", audio);
}

// Two such cards, 06:00 and 07:00, as the alternatives of the mapping 'gpu' on node pve1.
inline void add_two_mapped_slots(FakeSystem& machine, const std::string& driver_of_first = "nouveau")
{
    add_slot(machine, {.driver = driver_of_first, .group = 14});
    add_slot(machine, {.port = "0000:00:02.0", .bus = 0x07, .group = 15});
    const std::string device = "\tmap id=10de:2204,subsystem-id=1af4:1100,";
    machine.file("/etc/pve/mapping/pci.cfg", "gpu\n" + device + "node=pve1,path=0000:06:00,iommugroup=14\n" +
                                                 device + "node=pve1,path=0000:07:00,iommugroup=15\n" +
                                                 device + "node=pve2,path=0000:01:00,iommugroup=9\n");
}

// An APU: its GPU and audio share a slot with the security processor and two USB controllers of the host.
inline void add_apu(FakeSystem& machine, const std::string& driver = "amdgpu")
{
    machine.add_driver("amdgpu", {"1002:1638"});
    machine.add_bridge("", "0000:00:08.1", {.secondary_bus = 0x0c});
    const auto add = [&](unsigned function, std::uint16_t device, std::uint32_t code, const std::string& by) {
        machine.add_function(
            "0000:00:08.1", "0000:0c:00." + std::to_string(function),
            {.vendor = 0x1002, .device = device, .class_code = code, .driver = by, .reset_methods = {"pm"}});
    };
    add(0, 0x1638, 0x030000, driver);
    add(1, 0x1637, 0x040300, "snd_hda_intel");
    add(2, 0x15df, 0x108000, "ccp");
    add(3, 0x1639, 0x0c0330, "xhci_hcd");
    add(4, 0x1639, 0x0c0330, "xhci_hcd");
}

inline void add_guest(FakeSystem& machine, unsigned vmid, const std::string& lines)
{
    machine.file("/etc/pve/qemu-server/" + std::to_string(vmid) + ".conf", lines);
    machine.file("/proc/sys/kernel/hostname", "pve1\n");
}

// That Arc card, GPU and audio for VM 101, which Proxmox's task is about to start.
inline void add_arc_for_vm_101(FakeSystem& machine, const ArcOptions& options = {})
{
    add_arc(machine, options);
    add_guest(machine, 101, "hostpci0: 03:00\nhostpci1: 04:00\n");
    machine.add_process(machine.parent_pid(), "task UPID:pve1:");
}

} // namespace pvegpu::testing
