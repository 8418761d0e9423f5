#include "install_hosts.hpp"

#include "base/text.hpp"
#include "host/programs.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_config.hpp"

namespace pvegpu::testing {
namespace {

constexpr std::string_view aliases = "alias pci:v00008086d000056A6sv*sd*bc03sc*i* i915\n"
                                     "alias pci:v00008086d000056A6sv*sd*bc03sc*i* xe\n"
                                     "alias pci:v000010DEd*sv*sd*bc03sc00i00* nouveau\n"
                                     "alias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel\n"
                                     "alias pci:v*d*sv*sd*bc*sc*i* vfio_pci\n";

constexpr std::string_view initramfs_modules =
    "# List of modules that you want to include in your initramfs.\n"
    "# They will be loaded at boot time in the order below.\n"
    "#\n"
    "# raid1\n"
    "# sd_mod\n";

std::string utf16(std::string_view text)
{
    std::string result("\x06\0\0\0", 4);
    for (const char c : text) result += std::string{c, '\0'};
    return result;
}

std::string without_key(std::string_view config, const std::string& key)
{
    std::string text;
    for (LineReader lines(config); lines.next();)
        if (!lines.line().starts_with(key + ":")) text += std::string(lines.line()) + "\n";
    return text;
}

// What qm does with "set VMID --KEY VALUE" and "set VMID --delete KEY" of a VM that does not run
// (API2/Qemu.pm).
SysResult qm(FakeSystem& machine, const std::vector<std::string>& arguments)
{
    const auto path = "/etc/pve/qemu-server/" + arguments.at(2) + ".conf";
    if (!machine.exists(path)) return {SysResult::Kind::refused, 2, "no such VM\n", 0, ""};
    const bool deletes = arguments.at(3) == "--delete";
    const auto key = deletes ? arguments.at(4) : arguments.at(3).substr(2);
    auto text = without_key(machine.text(path) + "\n", key);
    const auto behind =
        key == "args" && text.starts_with("hookscript:") ? text.find('\n') + 1 : 0; // one order
    if (!deletes) text.insert(behind, key + ": " + arguments.at(4) + "\n");
    machine.file(path, text);
    return {SysResult::Kind::done, 0, "update VM " + arguments.at(2) + "\n", 0, ""};
}

void add_systemd_boot(FakeSystem& machine)
{
    machine.file(std::string(paths::efi_loader_info), utf16("systemd-boot 257.4"));
    machine.file("/etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n");
}

} // namespace

void add_host(FakeSystem& machine, const HostOptions& options)
{
    machine.file("/var/lib/dpkg/status",
                 "Package: pve-manager\nStatus: install ok installed\nVersion: " + options.proxmox + "\n\n");
    machine.file("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: " + options.cpu + "\n");
    machine.file("/proc/cmdline", options.running + "\n");
    machine.file("/proc/sys/kernel/hostname", "pve1\n");
    machine.file("/etc/default/grub",
                 "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n");
    machine.tree().add_directory("/run");
    machine.tree().add_directory("/sys/class/iommu");
    if (options.iommu) machine.tree().add_directory("/sys/class/iommu/dmar0");
    if (options.proxmox_boot) machine.file("/etc/kernel/proxmox-boot-uuids", "1234-ABCD\n");
    if (options.systemd_boot) add_systemd_boot(machine);
    machine.file("/etc/initramfs-tools/modules", initramfs_modules);
    const auto release = machine.text("/proc/sys/kernel/osrelease");
    machine.file(paths::module_aliases(release), aliases);
    machine.file("/etc/pve/storage.cfg", "dir: local\n\tpath /var/lib/vz\n\tcontent "
                                         "iso,vztmpl,backup\n\nlvmthin: local-lvm\n\tthinpool data\n");
    if (!machine.exists("/etc/pve/.vmlist"))
        machine.file("/etc/pve/.vmlist", "{\n\"version\": 1,\n\"ids\": {\n}}\n");
    machine.tree().add_directory("/var/lib/vz");
    for (const auto program : programs::all) machine.add_program(std::string(program));
    machine.add_program(std::string(paths::qm_program),
                        [&machine](const auto& arguments) { return qm(machine, arguments); });
    for (const auto* driver : {"i915", "nouveau", "snd_hda_intel"})
        machine.tree().set_link("/sys/bus/pci/drivers/" + std::string(driver) + "/module",
                                "../../../../module/" + std::string(driver));
}

void add_vm(FakeSystem& machine, unsigned vmid, const std::string& lines)
{
    machine.file("/etc/pve/qemu-server/" + std::to_string(vmid) + ".conf", lines);
    auto list = machine.text("/etc/pve/.vmlist");
    const auto entry = "\"" + std::to_string(vmid) + R"(": { "node": "pve1", "type": "qemu", "version": 1 })";
    list.insert(list.rfind("}}"), (list.find("node") == std::string::npos ? "" : ",") + entry);
    machine.file("/etc/pve/.vmlist", list);
}

void join_cluster(FakeSystem& machine, bool quorate)
{
    machine.file(
        "/etc/pve/.members",
        R"({ "nodename": "pve1", "version": 4, "cluster": { "name": "c", "version": 2, "nodes": 2, "quorate": )" +
            std::string(quorate ? "1" : "0") + " } }");
}

std::string hookscript_of(const FakeSystem& machine, unsigned vmid)
{
    return parse_guest_config(machine.text("/etc/pve/qemu-server/" + std::to_string(vmid) + ".conf"))
        .hookscript;
}

std::string print_plan(const InstallPlan& plan)
{
    auto text = print_changes(plan.changes);
    const auto add = [&](const std::string& title, const std::vector<std::string>& lines) {
        for (const auto& line : lines) text += title + ": " + printable(line) + "\n";
    };
    add("note", plan.notes);
    add("warning", sentences(plan.warnings));
    add("reboot needed", plan.reboot_reasons);
    return text;
}

} // namespace pvegpu::testing
