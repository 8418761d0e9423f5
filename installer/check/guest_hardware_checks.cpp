// The virtual machine around the card: machine type, firmware, processor; its memory: how much stays, which
// node of the host has it, what is saved of it.
#include "check/findings.hpp"

#include "base/lists.hpp"

namespace pvegpu {
namespace {

bool is_q35(const SurveyedGuest& guest)
{
    return guest.config.setting("machine").find("q35") != std::string::npos; // "q35", "pc-q35-9.0+pve0"
}

bool is_ovmf(const SurveyedGuest& guest)
{
    return guest.config.setting("bios") == "ovmf";
}

// The line that has it; nullptr if none has.
const HostPci* legacy_line(const SurveyedGuest& guest)
{
    return find_where(guest.config.hostpci, [](const HostPci& line) { return line.legacy_igd; });
}

// The first function of a line: x-vga is for that one (print_hostpci_devices in PCI.pm). nullptr if it is not
// there.
const Function* first_function_of(const CheckFacts& facts, const SurveyedGuest& guest, const HostPci& line)
{
    for (const auto& address : guest.passed)
        if (guest.keys.at(address) == line.key()) return facts.topology.find(address);
    return nullptr;
}

// As written, or what Proxmox takes without a line.
std::string setting_or(const SurveyedGuest& guest, const std::string& key, const std::string& otherwise)
{
    const auto value = guest.config.setting(key);
    return value.empty() ? "no '" + key + "' line, which means '" + otherwise + "'"
                         : "'" + key + ": " + value + "'";
}

// What parse_hostpci_devices in PCI.pm dies of. `vga` is compared as it is written.
Findings guest_legacy_igd(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto* line = legacy_line(guest);
    if (line == nullptr) return {};
    const auto* device = first_function_of(facts, guest, *line);
    const auto evidence = line->key() + " has 'legacy-igd=1', and ";
    const auto refused = [&](const std::string& reason, const Remedy& fix) {
        return Findings{{Verdict::error, evidence + reason + ": the VM does not start", fix}};
    };
    if (is_q35(guest))
        return refused("the machine type is q35",
                       set(guest, "--machine " + with_type(guest.config.setting("machine"), "pc")));
    if (guest.config.setting("vga") != "none")
        return refused(setting_or(guest, "vga", "std") + " is not 'vga: none'", set(guest, "--vga none"));
    if (line->x_vga)
        return refused("'x-vga=1' too", by_command(set_property(guest.id.vmid, *line, "x-vga", "")));
    if (device != nullptr && (device->address.slot != 2 || device->address.function != 0))
        return refused(named(facts.names, *device) + " is not at 00:02.0",
                       by_command(set_property(guest.id.vmid, *line, "legacy-igd", "")));
    return {{Verdict::ok, evidence + "nothing is in its way"}};
}

Finding guest_machine(const SurveyedGuest& guest)
{
    const auto evidence = setting_or(guest, "machine", "i440fx");
    const auto to_q35 =
        set(guest, "--machine " + with_type(guest.config.setting("machine"), "q35"), caution_of_q35);
    if (is_q35(guest)) return {Verdict::ok, evidence};
    if (std::ranges::any_of(guest.config.hostpci, [](const HostPci& line) { return line.pcie; }))
        return {Verdict::error, evidence + ", and 'pcie=1' needs q35: the VM does not start", to_q35,
                "Proxmox refuses to start a VM with 'pcie=1' on another machine type"};
    if (legacy_line(guest) != nullptr) return {Verdict::ok, evidence + ", as 'legacy-igd=1' needs it"};
    return {Verdict::note, evidence, to_q35};
}

// The storage of the guest's first disk; empty if it has none.
std::string storage_of_disks(const SurveyedGuest& guest)
{
    for (const auto* bus : {"scsi0", "virtio0", "sata0", "ide0"}) {
        const auto text = guest.config.setting(bus);
        std::string_view volume = text;
        if (volume.starts_with("file=")) volume.remove_prefix(std::string_view("file=").size());
        const auto colon = volume.find(':');
        if (colon != std::string_view::npos && text.find("media=cdrom") == std::string::npos &&
            consists_of(volume.substr(0, colon), [](char c) { return is_alnum(c) || c == '-' || c == '_'; }))
            return std::string(volume.substr(0, colon));
    }
    return "";
}

} // namespace

Remedy to_ovmf(const SurveyedGuest& guest)
{
    const std::string anew =
        "a system that was installed with SeaBIOS does not start with OVMF: install it anew";
    if (!guest.config.setting("efidisk0").empty()) return set(guest, "--bios ovmf", anew);
    const auto storage = storage_of_disks(guest);
    if (storage.empty()) return {"choose OVMF under Hardware > BIOS and add an EFI disk; " + anew};
    return set(guest, "--bios ovmf --efidisk0 " + storage + ":1", anew);
}

namespace {

Finding guest_firmware(const SurveyedGuest& guest)
{
    const auto evidence = setting_or(guest, "bios", "seabios");
    if (is_ovmf(guest)) return {Verdict::ok, evidence};
    if (legacy_line(guest) != nullptr)
        return {Verdict::ok, evidence + ", which the ROM of 'legacy-igd=1' is for"};
    return {Verdict::note, evidence, to_ovmf(guest)};
}

Finding guest_pcie(const SurveyedGuest& guest)
{
    if (legacy_line(guest) != nullptr) return {Verdict::ok, "'legacy-igd=1' has no 'pcie=1' beside it"};
    std::vector<std::string> keys, commands;
    if (!is_q35(guest))
        commands.push_back(
            guest.id.set_command("--machine " + with_type(guest.config.setting("machine"), "q35")));
    for (const auto& line : guest.config.hostpci) {
        if (line.pcie || line.mdev) continue;
        commands.push_back(set_property(guest.id.vmid, line, "pcie", "1"));
        keys.push_back(line.key());
    }
    if (keys.empty()) return {Verdict::ok, "every 'hostpci' line has 'pcie=1'"};
    return {Verdict::note, join(keys, ", ") + " has no 'pcie=1'",
            by_command(join(commands, "; "), is_q35(guest) ? "" : caution_of_q35)};
}

// QEMU's hw/vfio/pci.c refuses x-vga for a device without a VGA region, and vfio-pci offers one for class VGA
// only; Proxmox hands it on with SeaBIOS only (print_hostpci_devices in PCI.pm).
Finding guest_x_vga(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto has_it = [](const HostPci& line) { return line.x_vga; };
    const auto count = std::ranges::count_if(guest.config.hostpci, has_it);
    if (count == 0) return {Verdict::ok, "no 'hostpci' line has 'x-vga=1'"};
    const auto& first = *find_where(guest.config.hostpci, has_it);
    const auto without = by_command(set_property(guest.id.vmid, first, "x-vga", ""));
    const auto* device = first_function_of(facts, guest, first);
    if (!is_ovmf(guest) && device != nullptr && device->class_code >> 8U != 0x0300)
        return {Verdict::error,
                first.key() + " has 'x-vga=1' with SeaBIOS, and " + named(facts.names, *device) +
                    " is of class 0x" + to_hex(device->class_code, 6) +
                    ", no VGA device: QEMU does not start",
                without};
    if (count > 1)
        return {Verdict::warning, std::to_string(count) + " 'hostpci' lines have 'x-vga=1'", without};
    return {Verdict::ok, "one 'hostpci' line has 'x-vga=1'"};
}

// What an own model adds to an old one is its maker's business, so it is never the oldest.
Finding guest_cpu(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto type = guest.config.setting("cpu");
    const auto model = guest_cpu_of(type, facts.cpu_models).model;
    const bool own = type.find("custom-") != std::string::npos;
    // get_default_cpu_model of qemu-server's CPUConfig.pm
    const std::string usual = guest.config.setting("kvm") == "0" ? "qemu64" : "kvm64";
    const auto evidence = setting_or(guest, "cpu", usual) +
                          (own && !model.starts_with("custom-") ? ", which is " + quote(model) : "");
    if (model == "host") return {Verdict::ok, evidence};
    const bool oldest = !own && (model == "kvm64" || model == "qemu64");
    return {oldest ? Verdict::warning : Verdict::note, evidence,
            set(guest, "--cpu " + with_type(type, "host"))};
}

// "8192", or "current=8192".
unsigned memory_of(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("memory");
    const auto pair = split_once(text, '=');
    return parse_decimal(pair ? pair->second : std::string_view(text)).value_or(512); // Proxmox's own default
}

Finding guest_balloon(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("balloon");
    const auto target = parse_decimal(text);
    if (!target || *target == 0 || *target >= memory_of(guest))
        return {Verdict::ok,
                text.empty() ? "no 'balloon' line, which means none" : "'balloon: " + text + "'"};
    return {Verdict::note, "'balloon: " + text + "' of " + std::to_string(memory_of(guest)) + " MiB",
            set(guest, "--balloon 0")};
}

// "numa0: cpus=0-3,hostnodes=0;2-3,memory=4096": the host's nodes that a guest's memory comes from.
std::set<unsigned> host_nodes_of(const SurveyedGuest& guest)
{
    constexpr std::string_view key = "hostnodes=";
    std::set<unsigned> nodes;
    for (const auto& [name, value] : guest.config.settings) {
        if (!name.starts_with("numa") || name == "numa") continue;
        for (const auto part : split(value, ','))
            if (part.starts_with(key))
                for (const auto list : split(part.substr(key.size()), ';')) nodes.merge(parse_cpu_list(list));
    }
    return nodes;
}

// Where the guest's processors and memory are, against the node of its card.
Finding pinning(const CheckFacts& facts, const SurveyedGuest& guest, const std::string& place, unsigned node)
{
    const auto affinity = guest.config.setting("affinity");
    const auto number = std::to_string(node);
    const auto pin =
        set(guest, "--affinity $(cat " + paths::join(paths::numa_nodes, "node" + number) + "/cpulist)");
    if (const auto nodes = host_nodes_of(guest); affinity.empty() && !nodes.empty()) {
        if (nodes.contains(node)) return {Verdict::ok, place + " has a 'numaN' line with it in 'hostnodes'"};
        return {Verdict::warning,
                place + " has 'numaN' lines with other 'hostnodes'",
                {"give the 'numaN' lines 'hostnodes=" + number + "'"}};
    }
    if (affinity.empty()) return {Verdict::note, place + " has no 'affinity' line", pin};
    const auto& there = facts.node_cpus.at(node);
    const auto evidence = place + " has 'affinity: " + affinity + "', ";
    if (std::ranges::all_of(parse_cpu_list(affinity), [&](auto cpu) { return there.contains(cpu); }))
        return {Verdict::ok, evidence + "processors of that NUMA node"};
    return {Verdict::warning, evidence + "with processors of another NUMA node", pin};
}

Finding guest_numa(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const std::string nodes(paths::numa_nodes);
    const auto& gpu = *facts.first_gpu_of(guest.id.vmid);
    const auto node = facts.state(gpu.address).numa_node;
    const auto file = gpu.file("numa_node");
    if (facts.node_cpus.empty())
        return {
            Verdict::unknown, nodes + " has no NUMA node", {"nothing, if 'lscpu' names no NUMA node either"}};
    if (facts.node_cpus.size() == 1) return {Verdict::ok, nodes + " has one NUMA node"};
    if (!node || !facts.node_cpus.contains(*node))
        return {Verdict::unknown,
                file + " does not say",
                {"look in the board's manual which processor has the slot"}};
    return pinning(facts, guest, file + " is " + std::to_string(*node) + ", and " + guest.config_path(),
                   *node);
}

Finding guest_hibernate(const SurveyedGuest& guest)
{
    const auto& lock = guest.config.lock;
    const bool hibernated =
        lock == "suspended" || lock == "suspending" || !guest.config.setting("vmstate").empty();
    if (!hibernated) return {Verdict::ok, "it is not hibernated"};
    return {Verdict::error,
            "it is hibernated (lock " + quote(lock) + "), and its 'hostpci' device cannot be saved with it",
            by_command("qm unlock " + std::to_string(guest.id.vmid) + "; " +
                           guest.id.set_command("--delete vmstate"),
                       "it then starts without what was in its memory")};
}

Finding guest_ram_snapshots(const SurveyedGuest& guest)
{
    auto names = guest.config.ram_snapshots;
    if (names.empty()) return {Verdict::ok, "no snapshot has its memory"};
    for (auto& name : names) name = quote(name);
    return {Verdict::note,
            "snapshots with memory: " + join(names, ", "),
            {"make snapshots without RAM; go back to these only after the 'hostpci' lines are removed"}};
}

} // namespace

std::vector<Check> guest_hardware_checks()
{
    return {
        {"guest.legacy-igd", "nothing is in the way of 'legacy-igd=1'",
         "'legacy-igd=1' against the rest of the configuration",
         "Proxmox refuses to start a guest where that mode of Intel's integrated GPU meets what it cannot be "
         "with",
         each_config_with_gpu<guest_legacy_igd>},
        {"guest.machine", "the machine type has PCI Express", "the machine type",
         "on i440fx a card is a conventional PCI device: drivers miss features",
         each_config_with_gpu<guest_machine>},
        {"guest.firmware", "the firmware is UEFI", "SeaBIOS or OVMF",
         "many cards' ROMs are for UEFI only, and large BARs need it", each_config_with_gpu<guest_firmware>},
        {"guest.pcie", "the card is a PCI Express device in the guest", "'pcie=1' in the hostpci lines",
         "without it the guest's driver sees no PCI Express link and may refuse the card",
         each_config_with_gpu<guest_pcie>},
        {"guest.x-vga", "'x-vga=1' stands where QEMU takes it", "'x-vga=1' against the class of the GPU",
         "QEMU takes it for VGA devices only, and one of a guest", each_config_with_gpu<guest_x_vga>},
        {"guest.cpu", "the guest sees the host's processor", "the guest's processor type",
         "GPU drivers want instructions that the old types hide; a guest with a GPU does not migrate anyway",
         each_config_with_gpu<guest_cpu>},
        {"guest.balloon", "the guest's memory is not ballooned", "ballooning",
         "all memory of a guest with a device is pinned, so it gives nothing back",
         each_config_with_gpu<guest_balloon>},
        {"guest.numa", "the guest runs beside its card",
         "the card's NUMA node against the guest's processors",
         "every access to the card crosses the link between the processors", each_vm_with_gpu<guest_numa>},
        {"guest.hibernate", "the guest is not hibernated", "whether the guest is hibernated",
         "a device's state is not in the saved memory", each_config_with_gpu<guest_hibernate>},
        {"guest.ram-snapshots", "no snapshot has the guest's memory", "snapshots with memory",
         "they cannot be made, or gone back to, with a passed device",
         each_config_with_gpu<guest_ram_snapshots>},
    };
}

} // namespace pvegpu
