// The host's part of the survey: versions, processor, boot loader.
#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "host/survey.hpp"
#include "incus/daemon.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/guest_files.hpp"

namespace pvegpu {
namespace {

std::string text_of(const SysReader& reader, std::string_view path)
{
    return reader.read(std::string(path)).value_or("");
}

// An EFI variable: four bytes of attributes, then for this one a byte.
bool secure_boot(const SysReader& reader)
{
    const auto variable = text_of(reader, paths::efi_secure_boot);
    return variable.size() == 5 && variable.back() == '\1';
}

// UTF-16 behind four bytes of attributes; its ASCII part is enough to tell the loaders apart.
std::string loader_that_booted(const SysReader& reader)
{
    const auto variable = text_of(reader, paths::efi_loader_info);
    std::string name;
    for (std::size_t i = 4; i < variable.size(); i += 2) name += variable[i];
    return name;
}

// As proxmox-boot-tool decides: the list of partitions exists, or it does not; systemd-boot only where the
// firmware is EFI and GRUB is not on the partition, which under Secure Boot it is.
BootLoader boot_loader(const SysReader& reader)
{
    if (!reader.exists(std::string(paths::proxmox_boot_uuids)))
        return reader.exists(std::string(paths::grub_defaults)) ? BootLoader::grub : BootLoader::unknown;
    if (!reader.exists(std::string(paths::efi)) || secure_boot(reader)) return BootLoader::proxmox_grub;
    const auto booted = loader_that_booted(reader);
    if (booted.starts_with("systemd-boot")) return BootLoader::proxmox_systemd;
    return booted.starts_with("GRUB") ? BootLoader::proxmox_grub : BootLoader::proxmox_undecided;
}

// The chips of remapped interrupts have other names, "IR-IO-APIC" and "IR-PCI-MSI-0000:00:1c.0", with Intel's
// IOMMU and AMD's alike (arch/x86/kernel/apic/io_apic.c, drivers/iommu/intel/irq_remapping.c,
// drivers/iommu/amd/iommu.c). What the IOMMU could do (`ecap`) says nothing of what it does. A remapped one
// is enough: devices that are not behind an IOMMU keep the plain chip.
std::optional<bool> interrupt_remapping(const SysReader& reader)
{
    std::optional<bool> remaps;
    for (const auto& number : reader.list(std::string(paths::interrupts))) {
        const auto chip = reader.read(paths::join(paths::interrupts, number) + "/chip_name").value_or("");
        if (chip.starts_with("IR-")) return true;
        if (chip.starts_with("IO-APIC") || chip.starts_with("PCI-MSI")) remaps = false;
    }
    return remaps;
}

} // namespace

std::string to_string(BootLoader loader)
{
    static constexpr std::array names{
        EnumName{"GRUB", BootLoader::grub}, EnumName{"proxmox-boot-tool with GRUB", BootLoader::proxmox_grub},
        EnumName{"proxmox-boot-tool with systemd-boot", BootLoader::proxmox_systemd},
        EnumName{"proxmox-boot-tool", BootLoader::proxmox_undecided},
        EnumName{"unknown", BootLoader::unknown}};
    return name_of(names, loader);
}

HostFacts read_machine(const SysReader& reader)
{
    HostFacts host;
    host.proxmox = package_version(text_of(reader, paths::dpkg_status), "pve-manager");
    host.kernel = trim(text_of(reader, paths::kernel_release));
    host.cpu = parse_cpu_vendor(text_of(reader, paths::cpu_info));
    host.iommu_on = !reader.list(std::string(paths::iommus)).empty();
    host.interrupt_remapping = interrupt_remapping(reader);
    host.loader = boot_loader(reader);
    host.secure_boot = secure_boot(reader);
    host.lockdown = locked_down(reader);
    host.running = parse_command_line(text_of(reader, paths::kernel_command_line));
    if (!host.is_proxmox() && daemon_sockets(reader).empty())
        throw Error(ErrorKind::failed,
                    {"this is not a Proxmox VE host: the package 'pve-manager' is not installed",
                     "run this on the host, not in a guest"});
    return host;
}

HostFacts read_host(const SysReader& reader)
{
    auto host = read_machine(reader);
    host.cluster = read_cluster(reader);
    return host;
}

} // namespace pvegpu
