// The virtual machine around the card: machine type, firmware, processor, memory.
#include "check_families.hpp"
#include "opinions.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// One finding for each guest that is passed a GPU, about its configuration.
template <typename Look> Findings of_guests(const CheckFacts& facts, Look look)
{
    Findings findings;
    for (const auto* guest : guests_with_gpus(facts)) {
        findings.push_back(look(*guest));
        findings.back().evidence.insert(0, conf_of(*guest) + ": ");
    }
    return findings;
}

bool is_q35(const SurveyedGuest& guest)
{
    return guest.config.setting("machine").find("q35") != std::string::npos; // "q35", "pc-q35-9.0+pve0"
}

bool is_ovmf(const SurveyedGuest& guest)
{
    return guest.config.setting("bios") == "ovmf";
}

Fix set(const SurveyedGuest& guest, const std::string& rest)
{
    return {set_command(guest, rest)};
}

// As written, or what Proxmox takes without a line.
std::string setting_or(const SurveyedGuest& guest, const std::string& key, const std::string& otherwise)
{
    const auto value = guest.config.setting(key);
    return value.empty() ? "no '" + key + "' line, which means '" + otherwise + "'"
                         : "'" + key + ": " + value + "'";
}

Finding machine(const SurveyedGuest& guest)
{
    const auto evidence = setting_or(guest, "machine", "i440fx");
    const bool wants_pcie = std::any_of(guest.config.hostpci.begin(), guest.config.hostpci.end(),
                                        [](const HostPci& line) { return line.pcie; });
    if (is_q35(guest)) return about_guest(guest, Verdict::ok, evidence);
    if (wants_pcie)
        return about_guest(guest, Verdict::error,
                           evidence + ", and 'pcie=1' needs q35: the VM does not start",
                           set(guest, "--machine q35"));
    return about_guest(guest, Verdict::note, evidence, set(guest, "--machine q35"));
}

Finding firmware(const SurveyedGuest& guest)
{
    const auto evidence = setting_or(guest, "bios", "seabios");
    if (is_ovmf(guest)) return about_guest(guest, Verdict::ok, evidence);
    return about_guest(
        guest, Verdict::note, evidence,
        set(guest, "--bios ovmf --efidisk0 STORAGE:1 (a system that was installed with SeaBIOS does not "
                   "start with OVMF: install it anew)"));
}

Finding pcie(const SurveyedGuest& guest)
{
    std::string keys,
        commands = is_q35(guest) ? "" : "qm set " + std::to_string(guest.vmid) + " --machine q35; ";
    for (const auto& line : guest.config.hostpci) {
        if (line.pcie || line.mdev) continue;
        commands += (keys.empty() ? "" : "; ") + set_property(guest.vmid, line, "pcie", "1");
        keys += (keys.empty() ? "" : ", ") + line.key();
    }
    if (keys.empty()) return about_guest(guest, Verdict::ok, "every 'hostpci' line has 'pcie=1'");
    return about_guest(guest, Verdict::note, keys + " has no 'pcie=1'", {commands});
}

// QEMU's hw/vfio/pci.c refuses x-vga for a device without a VGA region, and vfio-pci offers one for class VGA
// only; Proxmox hands it on with SeaBIOS only (print_hostpci_devices in PCI.pm).
Finding x_vga(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto& lines = guest.config.hostpci;
    const auto has_it = [](const HostPci& line) { return line.x_vga; };
    const auto count = std::count_if(lines.begin(), lines.end(), has_it);
    const auto first = std::find_if(lines.begin(), lines.end(), has_it);
    const auto& gpu = facts.gpu(*first_card_of(facts, guest.vmid));
    if (count == 0) return about_guest(guest, Verdict::ok, "no 'hostpci' line has 'x-vga=1'");
    if (!is_ovmf(guest) && gpu.class_code >> 8U != 0x0300)
        return about_guest(guest, Verdict::error,
                           "'x-vga=1' with SeaBIOS, and " + named(gpu) + " is of class 0x" +
                               to_hex(gpu.class_code, 6) + ", no VGA device: QEMU does not start",
                           {set_property(guest.vmid, *first, "x-vga", "")});
    if (count > 1)
        return about_guest(guest, Verdict::warning, std::to_string(count) + " 'hostpci' lines have 'x-vga=1'",
                           {set_property(guest.vmid, *first, "x-vga", "")});
    return about_guest(guest, Verdict::ok, "one 'hostpci' line has 'x-vga=1'");
}

Finding cpu(const SurveyedGuest& guest)
{
    const auto type = guest.config.setting("cpu");
    const auto evidence = setting_or(guest, "cpu", "kvm64");
    if (type == "host" || type.starts_with("host,") || type.find("cputype=host") != std::string::npos)
        return about_guest(guest, Verdict::ok, evidence);
    const bool oldest = type.empty() || type.starts_with("kvm64") || type.starts_with("qemu64");
    return about_guest(guest, oldest ? Verdict::warning : Verdict::note, evidence, set(guest, "--cpu host"));
}

// "8192", or "current=8192".
unsigned memory_of(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("memory");
    const auto pair = split_once(text, '=');
    return parse_decimal(pair ? pair->second : std::string_view(text)).value_or(512); // Proxmox's own default
}

Finding balloon(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("balloon");
    const auto target = parse_decimal(text);
    if (!target || *target == 0 || *target >= memory_of(guest))
        return about_guest(guest, Verdict::ok,
                           text.empty() ? "no 'balloon' line, which means none" : "'balloon: " + text + "'");
    return about_guest(guest, Verdict::note,
                       "'balloon: " + text + "' of " + std::to_string(memory_of(guest)) + " MiB",
                       set(guest, "--balloon 0"));
}

Finding pinning(const CheckFacts& facts, const SurveyedGuest& guest, unsigned node)
{
    const auto text = guest.config.setting("affinity");
    const auto place = file_of(first_card_of(facts, guest.vmid)->gpu, "numa_node") + " is " +
                       std::to_string(node) + ", and " + conf_of(guest);
    if (text.empty())
        return about_guest(guest, Verdict::note, place + " has no 'affinity' line",
                           set(guest, "--affinity $(cat /sys/devices/system/node/node" +
                                          std::to_string(node) + "/cpulist)"));
    const auto& there = facts.node_cpus.at(node);
    const auto pinned = parse_cpu_list(text);
    if (std::all_of(pinned.begin(), pinned.end(), [&](auto cpu) { return there.contains(cpu); }))
        return about_guest(guest, Verdict::ok,
                           place + " has 'affinity: " + text + "', processors of that node");
    return about_guest(
        guest, Verdict::warning, place + " has 'affinity: " + text + "', with processors of another node",
        set(guest, "--affinity $(cat /sys/devices/system/node/node" + std::to_string(node) + "/cpulist)"));
}

Finding numa(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto gpu = first_card_of(facts, guest.vmid)->gpu;
    const auto node = facts.state(gpu).numa_node;
    if (facts.node_cpus.empty())
        return about_guest(guest, Verdict::unknown, "/sys/devices/system/node has no node",
                           {"lscpu | grep NUMA"});
    if (facts.node_cpus.size() == 1)
        return about_guest(guest, Verdict::ok, "/sys/devices/system/node has one node");
    if (!node || !facts.node_cpus.contains(*node))
        return about_guest(guest, Verdict::unknown, file_of(gpu, "numa_node") + " does not say",
                           {"look in the board's manual which processor has the slot"});
    return pinning(facts, guest, *node);
}

Finding hibernate(const SurveyedGuest& guest)
{
    const auto& lock = guest.config.lock;
    const bool hibernated =
        lock == "suspended" || lock == "suspending" || !guest.config.setting("vmstate").empty();
    if (!hibernated) return about_guest(guest, Verdict::ok, "it is not hibernated");
    return about_guest(guest, Verdict::error,
                       "it is hibernated (lock " + quote(lock) +
                           "), and its 'hostpci' device cannot be saved with it",
                       {"qm unlock " + std::to_string(guest.vmid) + "; qm set " + std::to_string(guest.vmid) +
                        " --delete vmstate: it then starts without what was in its memory"});
}

Finding ram_snapshots(const SurveyedGuest& guest)
{
    const auto& names = guest.config.ram_snapshots;
    if (names.empty()) return about_guest(guest, Verdict::ok, "no snapshot has its memory");
    std::vector<std::string> quoted;
    quoted.reserve(names.size());
    for (const auto& name : names) quoted.push_back(quote(name));
    return about_guest(
        guest, Verdict::note, "snapshots with memory: " + join(quoted, ", "),
        {"make snapshots without RAM; go back to these only after the 'hostpci' lines are removed"});
}

} // namespace

Findings guest_machine(const CheckFacts& facts)
{
    return of_guests(facts, machine);
}

Findings guest_firmware(const CheckFacts& facts)
{
    return of_guests(facts, firmware);
}

Findings guest_pcie(const CheckFacts& facts)
{
    return of_guests(facts, pcie);
}

Findings guest_x_vga(const CheckFacts& facts)
{
    return of_guests(facts, [&](const SurveyedGuest& guest) { return x_vga(facts, guest); });
}

Findings guest_cpu(const CheckFacts& facts)
{
    return of_guests(facts, cpu);
}

Findings guest_balloon(const CheckFacts& facts)
{
    return of_guests(facts, balloon);
}

Findings guest_numa(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_gpus(facts)) findings.push_back(numa(facts, *guest));
    return findings;
}

Findings guest_hibernate(const CheckFacts& facts)
{
    return of_guests(facts, hibernate);
}

Findings guest_ram_snapshots(const CheckFacts& facts)
{
    return of_guests(facts, ram_snapshots);
}

} // namespace pvegpu
