#include "check/known_messages.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using enum KnownMessage::Certainty;
using enum Verdict;

// "bar 2 [mem ...": one of a card's own six. Higher numbers are the ROM, SR-IOV's and a bridge's windows
// (the kernel's include/linux/pci.h); I/O ports no driver of a modern card needs.
bool is_memory_of_a_card(std::string_view lowered)
{
    constexpr unsigned own_bars = 6;
    constexpr std::string_view word = "bar ";
    const auto at = lowered.find(word);
    if (at == std::string_view::npos || lowered.substr(0, at).ends_with("vf ")) return false;
    const auto rest = lowered.substr(at + word.size());
    const auto number = parse_decimal(rest.substr(0, count_front(rest, is_digit)));
    return number && *number < own_bars && rest.find("[io ") == std::string_view::npos;
}

bool is_other_memory(std::string_view lowered)
{
    return !is_memory_of_a_card(lowered);
}

// Wordings: the kernel's drivers/pci and drivers/vfio, QEMU's hw/vfio, Proxmox's qemu-server, NVIDIA's
// driver.
const std::vector<KnownMessage> table{
    {"log.reset-timeout", "not ready *ms after *giving up", error, certain,
     "the card did not come back from a reset within a minute; some cards (RTX 5090) never come back from "
     "FLR but do from a bus reset",
     "stop the guest, run 'pve-gpu-install try --vm N'; if the card stays silent, switch the host's power "
     "off "
     "and on: a reboot may not be enough",
     true},
    {"log.d3cold", "power state from d3cold to d0*inaccessible", error, likely,
     "the card lost its power while it slept, or fell off the bus, and does not wake",
     "keep it awake before the guest starts: echo 0 > /sys/bus/pci/devices/ADDRESS/d3cold_allowed; echo on > "
     "/sys/bus/pci/devices/ADDRESS/power/control, and the same for each bridge above; the hook does both",
     true},
    {"log.stuck-in-d3", "stuck in d3", error, likely,
     "QEMU cannot wake the card: it lost its power while it slept, or a reset has failed",
     "keep it awake before the guest starts: echo 0 > /sys/bus/pci/devices/ADDRESS/d3cold_allowed; echo on > "
     "/sys/bus/pci/devices/ADDRESS/power/control; the hook does both; if the card stays away, switch the "
     "host's power off and on",
     true},
    {"log.power-state-refused", "refused to change power state", warning, possible,
     "the card did not follow a change of its power state; it may be dead, or its firmware keeps it in D3",
     "look at 'pve-gpu-install check' for the card; recover it with 'pve-gpu-install try --vm N'", true},
    {"log.header-type", "unknown header type 7f", error, certain,
     "the card's configuration space reads all ones: it is off the bus, without power, or hangs",
     "stop the guest and run 'pve-gpu-install try --vm N'; if that fails, switch the host's power off and "
     "on",
     true},
    {"log.header-type-qemu", "unknown pci header type *127", error, certain,
     "the card's configuration space reads all ones: it is off the bus, without power, or hangs",
     "stop the guest and run 'pve-gpu-install try --vm N'; if that fails, switch the host's power off and "
     "on",
     true},
    {"log.bar-reserve", "bar *can't reserve", warning, certain,
     "something else has the card's memory: mostly the host's screen as the firmware left it (efifb, "
     "simpledrm), or a driver that was not unbound cleanly",
     "attach the hook, which takes the screen off the card; or make another GPU the firmware's primary "
     "display; or add 'initcall_blacklist=sysfb_init' to the kernel's command line"},
    {"log.bar-no-space", "bar *no space", error, certain,
     "the bridge's window is too small for the card's memory, often after a rescan below the wrong bridge or "
     "with a resizable BAR",
     "turn on 'Above 4G Decoding' in the firmware's setup; until then reboot, or let the hook rescan the bus "
     "of the card's port, which sizes the window anew",
     true, is_memory_of_a_card},
    {"log.bar-harmless", "bar *no space", ok, certain,
     "no room for I/O ports, for virtual functions that nobody has asked for, or for what may be plugged in "
     "behind a bridge: no card's own memory",
     "harmless: nothing has to be done, unless virtual functions are wanted: then turn on 'SR-IOV' and "
     "'Above "
     "4G Decoding' in the firmware's setup",
     false, is_other_memory},
    {"log.reset-ioctl", "inappropriate ioctl for device", note, certain,
     "Proxmox asked for a reset that the card does not have; it goes on without",
     "harmless: nothing has to be done; if the guest gets no picture at its second start, attach the hook"},
    {"log.assign-not-permitted", "failed to assign device*operation not permitted", error, likely,
     "another device of the card's IOMMU group is in use by the host, or interrupts are not remapped",
     "see 'group.isolation' and 'iommu.interrupt-remapping' in 'pve-gpu-install check'; put the card into "
     "another slot or turn on ACS in the firmware's setup"},
    {"log.group-not-viable", "group * is not viable", error, certain,
     "a device of the card's IOMMU group is bound to a host driver that is not vfio-pci",
     "pass that device too, or put the card into a slot with a group of its own; see 'group.isolation'"},
    {"log.interrupt-remapping", "interrupt remapping hardware not found", error, certain,
     "the board or its firmware has no interrupt remapping",
     "turn on 'VT-d' ('AMD-Vi', 'IOMMU') and 'x2APIC' in the firmware's setup and update the firmware; on "
     "boards without it 'allow_unsafe_interrupts' lets guests attack the host"},
    {"log.no-interrupt-remapping", "no interrupt remapping *allow_unsafe_interrupts", error, certain,
     "interrupts are not remapped, and vfio refuses to pass a device without that",
     "turn on 'VT-d' ('AMD-Vi', 'IOMMU') and 'x2APIC' in the firmware's setup and update the firmware"},
    {"log.no-iommu", "no iommu *detected", error, certain, "the kernel uses no IOMMU",
     "turn on 'VT-d' or 'AMD-Vi' ('IOMMU') in the firmware's setup; Intel before Linux 6.8 also needs "
     "'intel_iommu=on'"},
    {"log.iommu-not-present", "iommu not present", error, certain, "the kernel uses no IOMMU",
     "turn on 'VT-d' or 'AMD-Vi' ('IOMMU') in the firmware's setup; Intel before Linux 6.8 also needs "
     "'intel_iommu=on'"},
    {"log.took-too-long", "device took too long to activate", warning, likely,
     "LXD gave up waiting for vfio-pci to get the device: its native driver did not let go in time, or a "
     "device of its IOMMU group was not passed",
     "give vfio-pci the card at boot ('pve-gpu-install --vm N --host' on Proxmox) and pass all of the group"},
    {"log.code-43", "code 43", warning, possible,
     "the guest's driver gave the card up: the card is dirty from an earlier start, the driver sees that it "
     "is in a VM, its ROM is missing because it is the host's boot display, or a resizable BAR is in the way",
     "in this order: attach the hook; set 'cpu: host,hidden=1' and q35 with OVMF; make another GPU the "
     "firmware's primary display; turn 'Resizable BAR' off in the firmware's setup; update the guest's "
     "driver"},
    {"log.busy", "device or resource busy", warning, likely,
     "a driver, a program or another VM has the device",
     "'pve-gpu-hook --dry-run N pre-start' names who has it; stop that first"},
    {"log.device-busy", "device busy", warning, likely, "a driver, a program or another VM has the device",
     "'pve-gpu-hook --dry-run N pre-start' names who has it; stop that first"},
    {"log.usage-count", "attempting to remove device*non-zero usage count", error, certain,
     "NVIDIA's driver is asked to give up a GPU that a program still uses, and waits for ever",
     "stop what uses it ('fuser -v /dev/nvidia*', 'systemctl stop nvidia-persistenced'), then start the "
     "guest"},
    {"log.fallen-off", "fallen off the bus", error, certain,
     "NVIDIA's driver lost the card: power, temperature, a bad riser, or a failed reset",
     "switch the host's power off and on; if it comes back, check the card's power cables and its slot"},
    {"log.card-not-present", "slot(*): card not present", error, likely,
     "the hotplug slot lost the card's link, during a reset or because the card has no power",
     "run 'pve-gpu-install try --vm N'; if the card stays away, switch the host's power off and on", true},
    {"log.aer-fatal", "aer: *uncorrect*(fatal)", error, likely,
     "the PCI Express link had an error that loses data: a bad riser, slot or card, or a reset at a wrong "
     "time",
     "reseat the card, try another slot without a riser, set a lower PCIe generation in the firmware's "
     "setup"},
    {"log.dma-fault", "dma*request device*fault addr", warning, likely,
     "a device reached for memory that it may not have; the IOMMU stopped it: mostly a card that was not "
     "reset before its guest started",
     "attach the hook, so that the card is reset before each start"},
    {"log.io-page-fault", "event logged*io_page_fault", warning, likely,
     "a device reached for memory that it may not have; the IOMMU stopped it: mostly a card that was not "
     "reset before its guest started",
     "attach the hook, so that the card is reset before each start"},
    {"log.dma-map", "vfio*dma_map*-22", warning, likely,
     "the card's memory lies above what the guest's processor can address",
     "qm set N --cpu host (or phys-bits=host); or make the BAR smaller in the firmware's setup"},
    {"log.mapping-invalid", "pci device mapping invalid", error, certain,
     "the resource mapping no longer describes the device: ids or the IOMMU group have changed",
     "Datacenter > Resource Mappings > edit the mapping and choose the device anew; see 'guest.mapping'"},
    {"log.q35", "q35 machine model is not enabled", error, certain, "'pcie=1' needs the machine type q35",
     "qm set N --machine q35"},
    {"log.ct-device", "device /dev/* does not exist", error, certain,
     "a container's devN line names a device that the host does not have at this moment; Proxmox looks "
     "before any hook "
     "can make it",
     "'pve-gpu-install check --ct N' says why ('ct.nodes'); 'pve-gpu-hook --nodes' makes what can be made"},
    {"log.reset-bug", "reset bug", warning, possible,
     "so people call it when a card (many of AMD's) is dirty after its guest has stopped, and gives no "
     "picture at the next start: it has no reset that works",
     "attach the hook ('pve-gpu-install --vm N'); for cards that 'reset.module' names, load vendor-reset "
     "too"},
    {"log.no-reset", "cannot reset device*no available reset mechanism", warning, certain,
     "QEMU finds no reset for the device, so it is passed as its last guest left it",
     "attach the hook, which resets the whole card from its port: 'pve-gpu-install --vm N'"},
    {"log.used-by-vm", "already in use by vmid", error, certain,
     "another VM on this host runs with the same device, or has reserved it to start",
     "stop that VM first, or give this one another device; see 'guest.shared-card'"},
    {"log.nvidia-version", "driver/library version mismatch", error, certain,
     "NVIDIA's libraries and its kernel module are of two versions: one was updated, in a container often, "
     "and the other was not",
     "install the same version in both ('cat /sys/module/nvidia/version' on the host); on a host that was "
     "just updated, reboot"},
    {"log.nvidia-api", "api mismatch", error, certain,
     "a program's NVIDIA libraries are of another version than the loaded kernel module",
     "install the same version in both ('cat /sys/module/nvidia/version' on the host); on a host that was "
     "just updated, reboot"},
    {"log.reset-method", "unsupported reset method", warning, certain,
     "the reset method is not one that this device has: for 'device_specific' the module vendor-reset is "
     "missing or does not know the card",
     "load the module that knows the card (see 'reset.module'), or take the line out of the udev rule"},
};

// The pattern's parts one behind the other, wherever they stand. A log has thousands of lines.
bool is_like(const KnownMessage& message, std::string_view lowered)
{
    auto pattern = message.pattern;
    while (true) {
        const auto part = pattern.substr(0, std::min(pattern.find('*'), pattern.size()));
        const auto at = lowered.find(part);
        if (at == std::string_view::npos) return false;
        if (part.size() == pattern.size()) return true;
        lowered.remove_prefix(at + part.size());
        pattern.remove_prefix(part.size() + 1);
    }
}

std::string explanation(std::string_view line, const KnownMessage& message)
{
    return printable(trim(line), 200) + "\n  cause (" + to_string(message.certainty) +
           "): " + std::string(message.cause) + "\n  fix: " + std::string(message.remedy) + "\n";
}

} // namespace

const std::vector<KnownMessage>& known_messages()
{
    return table;
}

std::string to_string(KnownMessage::Certainty certainty)
{
    switch (certainty) {
    case certain:
        return "certain";
    case likely:
        return "likely";
    case possible:
        break;
    }
    return "possible";
}

std::vector<const KnownMessage*> messages_like(std::string_view line)
{
    constexpr std::size_t longest = 2048; // the kernel's own limit for a message is half of it
    const auto lowered = lower(line.substr(0, longest));
    std::vector<const KnownMessage*> found;
    for (const auto& message : table)
        if (is_like(message, lowered) && (message.applies == nullptr || message.applies(lowered)))
            found.push_back(&message);
    return found;
}

std::optional<PciAddress> address_in(std::string_view text)
{
    constexpr std::size_t usual = 12, of_vmd = 13; // characters
    for (std::size_t at = 0; at + usual <= text.size(); ++at)
        for (const auto length : {of_vmd, usual})
            if (const auto address = parse_pci_address(text.substr(at, length))) return address;
    return std::nullopt;
}

std::string explain(std::string_view text)
{
    std::string answer;
    for (LineReader lines(text); lines.next();)
        for (const auto* message : messages_like(lines.line())) {
            if (!answer.empty()) answer += '\n';
            answer += explanation(lines.line(), *message);
        }
    return answer;
}

} // namespace pvegpu
