// A machine and a guest in, the plan out, as a text that a person can read: tests/plans/NAME.txt.
// UPDATE_GOLDEN=1 writes them anew; then read the difference.
#include "catch.hpp"
#include "golden.hpp"
#include "machines.hpp"
#include "planned.hpp"
#include "recovery/recover_gpu.hpp"

#include <functional>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

struct Case {
    std::string name; // of the file
    std::string shows;
    std::string guest;
    std::function<void(FakeSystem&)> build;
    std::string settings = "";
    std::string kernel = "6.14.8-2-pve";
};

std::string print_function(const PlannedFunction& function)
{
    std::string text = "  " + to_string(function.address()) + " " + to_string(function.role);
    if (!function.hostpci.empty()) text += " " + function.hostpci;
    if (function.to_vfio) text += " -> vfio-pci";
    if (!function.cycled) text += " (left as it is)";
    return text + "\n";
}

std::string how(const Step& step)
{
    const auto* const reset = std::get_if<Reset>(&step);
    if (reset == nullptr) return "";
    switch (reset->by) {
    case ResetBy::bridge_control:
        return " by Bridge Control";
    case ResetBy::function:
        return " by its own reset";
    case ResetBy::reset_subordinate:
        break;
    }
    return " by reset_subordinate";
}

std::string print_steps(const std::string& title, const std::vector<Step>& steps)
{
    if (steps.empty()) return "";
    std::string text = title + "\n";
    for (const auto& step : steps)
        text += "  " + report_of(step).op + " " + report_of(step).target + how(step) + "\n";
    return text;
}

std::string print_plan(const RecoveryPlan& plan)
{
    std::string text;
    if (plan.refused)
        text += "refused: " + to_string(plan.refused->reason) + ": " + to_string(plan.refused->advice) + "\n";
    for (const auto& warning : plan.warnings) text += "warning: " + to_string(warning) + "\n";
    for (const auto& bus : plan.search) text += "look for a missing device on bus " + to_string(bus) + "\n";
    for (const auto& card : plan.cards) {
        text += card.card.port ? "card below " + to_string(*card.card.port) + "\n" : "card without a port\n";
        for (const auto& function : card.functions) text += print_function(function);
        text += print_steps("steps", card.steps);
        text += print_steps("if that does not help", card.whole_card);
    }
    return text.empty() ? "nothing to do\n" : text;
}

std::string plan_of(const Case& golden)
{
    FakeSystem machine(golden.kernel);
    golden.build(machine);
    add_guest(machine, 101, golden.guest);
    if (!golden.settings.empty()) machine.file("/etc/pve-gpu-hook/settings.json", golden.settings);
    std::string plan;
    try {
        plan = print_plan(plan_start(machine));
    } catch (const Error& error) {
        plan = "error: " + to_string(error.reason()) + ": " + error.what() + "\n";
    }
    CHECK(machine.writes().empty());
    return "# " + golden.shows + "\n\n" + golden.guest +
           (golden.settings.empty() ? "" : "\n" + golden.settings + "\n") + "\n" + plan;
}

void build_arc(FakeSystem& machine)
{
    add_arc(machine);
}
void build_slot(FakeSystem& machine)
{
    add_slot(machine);
}

void hold_audio(FakeSystem& machine, const std::string& address)
{
    machine.add_node(address, "sound/card1/pcmC1D3p", "/dev/snd/pcmC1D3p", {116, 9});
    machine.add_process(900, "pipewire", {{5, {"/dev/snd/pcmC1D3p", DeviceNumber{116, 9}}}});
}

// A Plex or TrueNAS board: a switch soldered to it, with a GPU in one slot and a network card in the other.
void build_board_switch(FakeSystem& machine)
{
    machine.add_bridge("", "0000:00:01.0");
    machine.add_bridge("0000:00:01.0", "0000:01:00.0");
    machine.add_bridge("0000:01:00.0", "0000:02:00.0");
    machine.add_bridge("0000:01:00.0", "0000:02:01.0");
    machine.add_function("0000:02:00.0", "0000:03:00.0", nvidia_gpu);
    machine.add_function("0000:02:00.0", "0000:03:00.1", nvidia_audio);
    machine.add_function("0000:02:01.0", "0000:04:00.0", network_card);
}

void build_arc_on_board_switch(FakeSystem& machine)
{
    machine.add_bridge("", "0000:00:01.0");
    machine.add_bridge("0000:00:01.0", "0000:01:00.0");
    machine.add_bridge("0000:01:00.0", "0000:02:00.0");
    machine.add_bridge("0000:01:00.0", "0000:02:01.0", {.secondary_bus = 0x20});
    machine.add_function("0000:02:01.0", "0000:20:00.0", network_card);
    machine.add_bridge("0000:02:00.0", "0000:03:00.0", {.secondary_bus = 0x10});
    machine.add_bridge("0000:03:00.0", "0000:10:01.0", {.secondary_bus = 0x11});
    machine.add_bridge("0000:03:00.0", "0000:10:04.0", {.secondary_bus = 0x12});
    machine.add_function("0000:10:01.0", "0000:11:00.0", arc_gpu);
    machine.add_function("0000:10:04.0", "0000:12:00.0", arc_audio);
}

void build_apu(FakeSystem& machine)
{
    machine.add_bridge("", "0000:00:08.1");
    const auto function = [&](const char* address, std::uint16_t device, std::uint32_t class_code,
                              const char* driver) {
        machine.add_function("0000:00:08.1", address,
                             {.vendor = 0x1002,
                              .device = device,
                              .class_code = class_code,
                              .driver = driver,
                              .reset_methods = {}});
    };
    function("0000:05:00.0", 0xffa1, 0x030000, "amdgpu"); // an id that no table knows
    function("0000:05:00.1", 0x1637, 0x040300, "snd_hda_intel");
    function("0000:05:00.2", 0x15df, 0x108000, "ccp");
    function("0000:05:00.3", 0x1639, 0x0c0330, "xhci_hcd");
}

void build_vmd(FakeSystem& machine)
{
    machine.add_function("", "0000:00:0e.0",
                         {.vendor = 0x8086, .device = 0x467f, .class_code = 0x010400, .driver = "vmd"});
    machine.add_nested_host_bridge("0000:00:0e.0", "10000:e0");
    machine.add_bridge("", "10000:e0:06.0", {.secondary_bus = 0xe1});
    machine.add_function("10000:e0:06.0", "10000:e1:00.0", nvidia_gpu);
}

void build_sriov(FakeSystem& machine)
{
    add_slot(machine);
    machine.add_virtual_function("0000:06:00.0", "0000:06:00.4");
}

// No ACS: GPU and disk hang on two ports, in one IOMMU group.
void build_disk_in_group(FakeSystem& machine)
{
    add_arc(machine);
    machine.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x08});
    machine.add_function("0000:00:1d.0", "0000:08:00.0", disk);
    machine.set_group(20, {"0000:03:00.0", "0000:08:00.0"});
}

void mount_disk(FakeSystem& machine)
{
    build_disk_in_group(machine);
    machine.add_node("0000:08:00.0", "nvme/nvme0/nvme0n1", "/dev/nvme0n1", {259, 0, true});
    machine.file("/proc/self/mountinfo", "25 1 259:0 / /srv rw,relatime shared:1 - ext4 /dev/nvme0n1 rw\n");
}

void build_two_mapped(FakeSystem& machine)
{
    add_two_mapped_slots(machine);
}

void build_mapped_first_held(FakeSystem& machine)
{
    add_two_mapped_slots(machine, "vfio-pci");
    machine.open_vfio("0000:06:00.0", 4711, "kvm", 102);
    machine.file("/run/qemu-server/pci-id-reservations",
                 "0000:06:00.0 102 pid:4711\n0000:06:00.1 102 pid:4711\n");
}

const std::string arc_guest = "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n";
const std::string slot_guest = "hostpci0: 06:00,pcie=1,x-vga=1\n";

const std::vector<Case> cases{
    {"arc", "An Arc card: reset above its own switch, then GPU and audio are found again.", arc_guest,
     build_arc},
    {"arc_without_reset_subordinate",
     "A kernel without reset_subordinate: the whole card goes, then the port resets.", arc_guest,
     [](FakeSystem& machine) { add_arc(machine, {.reset_subordinate = false}); }, "", "6.8.12-15-pve"},
    {"arc_forced_bridge_control", "The settings force the second order.", arc_guest, build_arc,
     R"({"reset_with": "bridge_control"})"},
    {"arc_locked_down", "Secure Boot and no reset_subordinate: no reset is possible, and it says so.",
     arc_guest,
     [](FakeSystem& machine) {
         add_arc(machine, {.reset_subordinate = false});
         machine.file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
     },
     "", "6.8.12-15-pve"},
    {"arc_without_its_audio",
     "The GPU is passed without its audio: the idle audio goes through it, and stays the host's.",
     "hostpci0: 03:00,pcie=1\n", build_arc},
    {"arc_with_busy_audio", "The host plays sound on the card: only the GPU is cycled.",
     "hostpci0: 03:00,pcie=1\n",
     [](FakeSystem& machine) {
         add_arc(machine);
         hold_audio(machine, "0000:04:00.0");
     }},
    {"arc_on_board_switch",
     "An Arc card in a slot of a board's switch: the port is the board's downstream port.",
     "hostpci0: 11:00\nhostpci1: 12:00\n", build_arc_on_board_switch},
    {"slot", "GPU and audio are two functions of one slot.", slot_guest, build_slot},
    {"slot_with_busy_audio", "One slot, sound in use: the GPU alone has no reset, and it says so.",
     "hostpci0: 06:00.0\n",
     [](FakeSystem& machine) {
         add_slot(machine);
         hold_audio(machine, "0000:06:00.1");
     }},
    {"slot_shared_group", "GPU and audio in one group, only the GPU named: Proxmox takes the audio too.",
     "hostpci0: 06:00.0\n",
     [](FakeSystem& machine) {
         add_slot(machine);
         machine.set_group(15, {"0000:06:00.0", "0000:06:00.1"});
     }},
    {"board_switch_shared_with_a_network_card",
     "A switch that another card shares is never reset as a whole.", "hostpci0: 03:00\n", build_board_switch},
    {"integrated_gpu", "An integrated GPU on the root bus is left to Proxmox.",
     "hostpci0: 00:02.0,legacy-igd=1\n",
     [](FakeSystem& machine) {
         machine.add_function("", "0000:00:02.0",
                              {.vendor = 0x8086, .device = 0x4680, .class_code = 0x030000, .driver = "i915"});
     }},
    {"apu", "An APU whose port also carries USB and the security processor is left to Proxmox.",
     "hostpci0: 05:00.0\n", build_apu},
    {"conventional_pci", "A card behind a bridge to conventional PCI is left to Proxmox.",
     "hostpci0: 02:00.0\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:1e.0", {.secondary_bus = 0x02, .type = PcieType::bridge});
         machine.add_function("0000:00:1e.0", "0000:02:00.0",
                              {.vendor = 0x1002, .device = 0x5159, .class_code = 0x030000, .express = false});
     }},
    {"vmd", "A GPU in a VMD domain is left to Proxmox.", "hostpci0: 10000:e1:00.0\n", build_vmd},
    {"virtual_function", "A virtual function is left to Proxmox; its parent is not touched.",
     "hostpci0: 06:00.4\n", build_sriov},
    {"sriov_parent", "A GPU with virtual functions is refused.", "hostpci0: 06:00.0\n", build_sriov},
    {"accelerator", "A processing accelerator, class 0x12, is a GPU too.", "hostpci0: 06:00.0\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
         machine.add_function("0000:00:01.0", "0000:06:00.0",
                              {.vendor = 0x1da3, .device = 0x1020, .class_code = 0x120000});
     }},
    {"disk_in_the_group",
     "An idle disk shares the GPU's group: a warning, and the card is cycled without it.", arc_guest,
     build_disk_in_group},
    {"mounted_disk_in_the_group",
     "A mounted disk shares the GPU's group: refused, Proxmox would tear it away.", arc_guest, mount_disk},
    {"held_by_another_vm", "Another VM has the card open.", arc_guest,
     [](FakeSystem& machine) {
         add_arc(machine, {.driver = "vfio-pci"});
         machine.open_vfio("0000:03:00.0", 4711, "kvm", 102);
     }},
    {"held_by_its_native_driver", "A program renders on the GPU.", arc_guest,
     [](FakeSystem& machine) {
         add_arc(machine);
         machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
         machine.add_process(812, "plex", {{9, {"/dev/dri/renderD128", DeviceNumber{226, 128}}}});
     }},
    {"stuck_writer", "Somebody's unbind waits for a VM, with the PCI core locked.", arc_guest,
     [](FakeSystem& machine) {
         add_arc(machine);
         machine.add_process(600, "bash");
         machine.set_task_state(600, 'D', "vfio_unregister_group_dev",
                                "[<0>] vfio_unregister_group_dev+0x90/0x110\n[<0>] "
                                "pci_stop_and_remove_bus_device_locked+0x16/0x30\n"
                                "[<0>] remove_store+0x79/0x90\n");
     }},
    {"mapping", "A mapping with two alternatives, both free: the first.", "hostpci0: mapping=gpu,pcie=1\n",
     build_two_mapped},
    {"mapping_first_held", "A mapping with two alternatives, the first runs in another VM: the second.",
     "hostpci0: mapping=gpu,pcie=1\n", build_mapped_first_held},
    {"mapping_first_used_by_the_host",
     "A mapping with two alternatives, the host uses the first: Proxmox would take that one all the same.",
     "hostpci0: mapping=gpu,pcie=1\n",
     [](FakeSystem& machine) {
         add_two_mapped_slots(machine);
         machine.add_node("0000:06:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
         machine.add_process(812, "plex", {{9, {"/dev/dri/renderD128", DeviceNumber{226, 128}}}});
     }},
    {"mapping_first_fallen_off",
     "A mapping with two alternatives, the first is not on the bus: Proxmox starts nothing without it.",
     "hostpci0: mapping=gpu,pcie=1\n",
     [](FakeSystem& machine) {
         add_two_mapped_slots(machine);
         machine.falls_off_the_bus("0000:06:00.0");
         machine.falls_off_the_bus("0000:06:00.1");
     }},
    {"mapping_mismatch", "The mapping says another id than the hardware has: Proxmox will not start it.",
     "hostpci0: mapping=gpu\n",
     [](FakeSystem& machine) {
         add_slot(machine);
         machine.file("/etc/pve/mapping/pci.cfg",
                      "gpu\n\tmap id=10de:1111,node=pve1,path=0000:06:00,subsystem-id=1af4:1100\n");
     }},
    {"mapping_unknown", "A mapping that does not exist.", "hostpci0: mapping=nope\n", build_slot},
    {"mapping_of_another_node", "A mapping without a device on this node.", "hostpci0: mapping=gpu\n",
     [](FakeSystem& machine) {
         add_slot(machine);
         machine.file("/etc/pve/mapping/pci.cfg", "gpu\n\tmap id=10de:2204,node=pve2,path=0000:06:00\n");
     }},
    {"flr_cycled", "A card with FLR is cycled all the same: whoever attached the hook needs it.",
     "hostpci0: 06:00\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
         auto gpu = nvidia_gpu;
         gpu.reset_methods = {"flr", "bus"};
         machine.add_function("0000:00:01.0", "0000:06:00.0", gpu);
     }},
    {"flr_left_alone", "With strategy auto a card with FLR that answers is left alone.", "hostpci0: 06:00\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
         auto gpu = nvidia_gpu;
         gpu.reset_methods = {"flr", "bus"};
         machine.add_function("0000:00:01.0", "0000:06:00.0", gpu);
     },
     R"({"strategy": "auto"})"},
    {"auto_dead_card", "With strategy auto a card with FLR that does not answer is cycled.",
     "hostpci0: 06:00\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
         auto gpu = nvidia_gpu;
         gpu.reset_methods = {"flr", "bus"};
         machine.add_function("0000:00:01.0", "0000:06:00.0", gpu);
         machine.dies("0000:06:00.0");
     },
     R"({"strategy": "auto"})"},
    {"remove_rescan", "Strategy remove-rescan: no reset.", arc_guest, build_arc,
     R"({"strategy": "remove-rescan"})"},
    {"off_for_this_guest", "Strategy off for this guest.", arc_guest, build_arc,
     R"({"guests": {"101": {"strategy": "off"}}})"},
    {"fallen_off", "The GPU is not on the bus: it is looked for where it belongs.", arc_guest,
     [](FakeSystem& machine) {
         add_arc(machine);
         machine.falls_off_the_bus("0000:03:00.0");
     }},
    {"no_such_device", "A device that the host never had, and no empty bridge for it.",
     "hostpci0: 03:00\nhostpci1: 99:00\n", build_arc},
    {"mdev_and_keep", "mdev and driver=keep are not ours.",
     "hostpci0: 03:00,mdev=i915-GVTg_V5_4\nhostpci1: 04:00,driver=keep\n", build_arc},
    {"template", "A template is backed up with its hook, but without its devices.",
     arc_guest + "template: 1\n", build_arc},
    {"no_gpu", "A guest with a network card only.", "hostpci0: 08:00\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x08});
         machine.add_function("0000:00:1d.0", "0000:08:00.0", network_card);
     }},
    {"vendor_reset", "A card that a bus reset breaks, with the module that knows better: its own reset.",
     "hostpci0: 06:00\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
         machine.add_function("0000:00:01.0", "0000:06:00.0",
                              {.vendor = 0x1002,
                               .device = 0x67df,
                               .class_code = 0x030000,
                               .driver = "amdgpu",
                               .reset_methods = {"device_specific", "bus"}});
     }},
    {"unsafe_bus_reset", "The same card without that module: no reset, and it says so.", "hostpci0: 06:00\n",
     [](FakeSystem& machine) {
         machine.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
         machine.add_function(
             "0000:00:01.0", "0000:06:00.0",
             {.vendor = 0x1002, .device = 0x67df, .class_code = 0x030000, .driver = "amdgpu"});
     }},
    {"named_twice", "Two lines name one device: Proxmox will not start it.",
     "hostpci0: 03:00\nhostpci1: 0000:03:00.0\n", build_arc},
    {"two_cards", "Two cards for one guest, card by card.", arc_guest + "hostpci2: 06:00\n",
     [](FakeSystem& machine) {
         add_arc(machine);
         add_slot(machine);
     }},
    {"upper_case", "Proxmox drops an upper-case address, and starts the guest without it.",
     "hostpci0: 0A:00.0\n", build_arc},
};

} // namespace

TEST_CASE("each odd machine has the plan that its file shows", "[plan][golden]")
{
    for (const auto& golden : cases) {
        DYNAMIC_SECTION(golden.name)
        {
            check_golden("/plans/" + std::string(golden.name) + ".txt", plan_of(golden));
        }
    }
}
