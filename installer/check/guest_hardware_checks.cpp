// The virtual machine around the card: machine type, firmware, processor.
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
    if (is_q35(guest)) return refused("the machine type is q35", set(guest, "--machine pc"));
    if (guest.config.setting("vga") != "none")
        return refused(setting_or(guest, "vga", "std") + " is not 'vga: none'", set(guest, "--vga none"));
    if (line->x_vga)
        return refused("'x-vga=1' too", by_command(set_property(guest.vmid, *line, "x-vga", "")));
    if (device != nullptr && (device->address.slot != 2 || device->address.function != 0))
        return refused(named(*device) + " is not at 00:02.0",
                       by_command(set_property(guest.vmid, *line, "legacy-igd", "")));
    return {{Verdict::ok, evidence + "nothing is in its way"}};
}

Finding guest_machine(const SurveyedGuest& guest)
{
    const auto evidence = setting_or(guest, "machine", "i440fx");
    const auto to_q35 = set(guest, "--machine q35");
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

Remedy to_ovmf(const SurveyedGuest& guest)
{
    const std::string anew =
        "a system that was installed with SeaBIOS does not start with OVMF: install it anew";
    if (!guest.config.setting("efidisk0").empty()) return set(guest, "--bios ovmf", anew);
    const auto storage = storage_of_disks(guest);
    if (storage.empty()) return {"choose OVMF under Hardware > BIOS and add an EFI disk; " + anew};
    return set(guest, "--bios ovmf --efidisk0 " + storage + ":1", anew);
}

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
    if (!is_q35(guest)) commands.push_back(set_command(guest, "--machine q35"));
    for (const auto& line : guest.config.hostpci) {
        if (line.pcie || line.mdev) continue;
        commands.push_back(set_property(guest.vmid, line, "pcie", "1"));
        keys.push_back(line.key());
    }
    if (keys.empty()) return {Verdict::ok, "every 'hostpci' line has 'pcie=1'"};
    return {Verdict::note, join(keys, ", ") + " has no 'pcie=1'", by_command(join(commands, "; "))};
}

// QEMU's hw/vfio/pci.c refuses x-vga for a device without a VGA region, and vfio-pci offers one for class VGA
// only; Proxmox hands it on with SeaBIOS only (print_hostpci_devices in PCI.pm).
Finding guest_x_vga(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto has_it = [](const HostPci& line) { return line.x_vga; };
    const auto count = std::ranges::count_if(guest.config.hostpci, has_it);
    if (count == 0) return {Verdict::ok, "no 'hostpci' line has 'x-vga=1'"};
    const auto& first = *find_where(guest.config.hostpci, has_it);
    const auto without = by_command(set_property(guest.vmid, first, "x-vga", ""));
    const auto* device = first_function_of(facts, guest, first);
    if (!is_ovmf(guest) && device != nullptr && device->class_code >> 8U != 0x0300)
        return {Verdict::error,
                first.key() + " has 'x-vga=1' with SeaBIOS, and " + named(*device) + " is of class 0x" +
                    to_hex(device->class_code, 6) + ", no VGA device: QEMU does not start",
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
    const auto evidence = setting_or(guest, "cpu", "kvm64") +
                          (own && !model.starts_with("custom-") ? ", which is " + quote(model) : "");
    if (model == "host") return {Verdict::ok, evidence};
    const bool oldest = !own && (model == "kvm64" || model == "qemu64");
    return {oldest ? Verdict::warning : Verdict::note, evidence, set(guest, "--cpu host")};
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
    };
}

} // namespace pvegpu
