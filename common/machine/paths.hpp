// Every path of the machine that the programs know, once. All are absolute as on a live host; the door to
// the machine (system.hpp) puts its root before them. A path is only ever built from parsed values.
#pragma once

#include "base/pci_address.hpp"

#include <string>
#include <string_view>
#include <sys/types.h>

namespace pvegpu::paths {

inline std::string join(std::string_view directory, std::string_view name)
{
    std::string path;
    path.reserve(directory.size() + 1 + name.size());
    return path.append(directory).append(1, '/').append(name);
}

// --- /sys: the kernel's devices ---
inline constexpr std::string_view sys = "/sys";
inline constexpr std::string_view pci_functions = "/sys/bus/pci/devices";
inline constexpr std::string_view pci_drivers = "/sys/bus/pci/drivers";
inline constexpr std::string_view pci_slots = "/sys/bus/pci/slots"; // of hotplug
inline constexpr std::string_view thunderbolt_devices = "/sys/bus/thunderbolt/devices";
inline constexpr std::string_view pci_buses = "/sys/class/pci_bus";
inline constexpr std::string_view drivers_autoprobe = "/sys/bus/pci/drivers_autoprobe";
inline constexpr std::string_view drivers_probe = "/sys/bus/pci/drivers_probe";
inline constexpr std::string_view pciehp_driver = "/sys/bus/pci_express/drivers/pciehp";
inline constexpr std::string_view vfio_groups = "/sys/class/vfio";
inline constexpr std::string_view vfio_references = "/sys/module/vfio/refcnt";
inline constexpr std::string_view nvme_subsystems = "/sys/class/nvme-subsystem";
inline constexpr std::string_view iommus = "/sys/class/iommu"; // empty: the kernel uses none
inline constexpr std::string_view iommu_groups = "/sys/kernel/iommu_groups";
inline constexpr std::string_view modules = "/sys/module";
inline constexpr std::string_view virtual_consoles = "/sys/class/vtconsole";
inline constexpr std::string_view framebuffers = "/sys/class/graphics";
inline constexpr std::string_view platform_devices = "/sys/bus/platform/devices";
inline constexpr std::string_view container_groups = "/sys/fs/cgroup/lxc"; // as Proxmox has LXC name them
inline constexpr std::string_view nvidia_module_version = "/sys/module/nvidia/version";
inline constexpr std::string_view kernel_lockdown = "/sys/kernel/security/lockdown";

inline std::string function(const PciAddress& address)
{
    return join(pci_functions, to_string(address));
}
inline std::string function(const PciAddress& address, std::string_view attribute)
{
    return join(function(address), attribute);
}
inline std::string driver(std::string_view name)
{
    return join(pci_drivers, name);
}
inline std::string driver(std::string_view name, std::string_view attribute)
{
    return join(driver(name), attribute);
}
inline std::string bus(const PciBus& bus)
{
    return join(pci_buses, to_string(bus));
}
inline std::string bus_rescan(const PciBus& which)
{
    return join(bus(which), "rescan");
}
inline std::string iommu_group_members(unsigned group)
{
    return join(iommu_groups, std::to_string(group)) + "/devices";
}

// --- /proc: processes and the kernel's tables ---
inline constexpr std::string_view proc = "/proc";
inline constexpr std::string_view proc_self = "/proc/self"; // a link to our own pid
inline constexpr std::string_view own_program = "/proc/self/exe";
inline constexpr std::string_view proc_devices = "/proc/devices";
inline constexpr std::string_view routes = "/proc/net/route";
inline constexpr std::string_view ipv6_addresses = "/proc/net/if_inet6";
// Interfaces with an IPv4 address, a name a line. No kernel has this file: whoever reads it in a child
// (SysReader::read_within) gets what the kernel answers (ipv4_interfaces.hpp), in a tree of files a file.
inline constexpr std::string_view ipv4_interfaces = "/proc/net/if_inet";
inline constexpr std::string_view loaded_modules = "/proc/modules";
inline constexpr std::string_view proc_swaps = "/proc/swaps";
inline constexpr std::string_view mount_table = "/proc/self/mountinfo";
inline constexpr std::string_view kernel_command_line = "/proc/cmdline";
inline constexpr std::string_view pci_ids = "/usr/share/misc/pci.ids"; // of Debian's package pci.ids
inline constexpr std::string_view roms = "/usr/share/kvm";             // of Proxmox's QEMU, and for 'romfile'
inline constexpr std::string_view host_name = "/proc/sys/kernel/hostname";
inline constexpr std::string_view kernel_release = "/proc/sys/kernel/osrelease";
inline constexpr std::string_view nvidia_gpus = "/proc/driver/nvidia/gpus";
inline constexpr std::string_view file_locks = "/proc/locks";
inline constexpr std::string_view nvidia_capabilities = "/proc/driver/nvidia/capabilities";

inline std::string process(pid_t pid)
{
    return join(proc, std::to_string(pid));
}
inline std::string process(pid_t pid, std::string_view file)
{
    return join(process(pid), file);
}

// --- /dev ---
inline constexpr std::string_view dev = "/dev";

// --- programs that the hook runs ---
inline constexpr std::string_view modprobe_program = "/sbin/modprobe";
inline constexpr std::string_view nvidia_modprobe_program = "/usr/bin/nvidia-modprobe";
inline constexpr std::string_view systemctl_program = "/usr/bin/systemctl";
inline constexpr std::string_view systemd_run_program = "/usr/bin/systemd-run";
inline constexpr std::string_view qm_program = "/usr/sbin/qm";

// --- /etc/pve: Proxmox's cluster file system, which can block for ever ---
inline constexpr std::string_view pve = "/etc/pve";
inline constexpr std::string_view pve_vm_configs = "/etc/pve/qemu-server"; // this node's; a link
inline constexpr std::string_view pve_ct_configs = "/etc/pve/lxc";
inline constexpr std::string_view pve_nodes = "/etc/pve/nodes";
inline constexpr std::string_view pve_pci_mappings = "/etc/pve/mapping/pci.cfg";
inline constexpr std::string_view pve_storages = "/etc/pve/storage.cfg";
inline constexpr std::string_view pve_users = "/etc/pve/user.cfg"; // and API tokens, without their secrets

inline std::string config_file(std::string_view directory, unsigned vmid)
{
    return join(directory, std::to_string(vmid)) + ".conf";
}
// This node's, or that of another; `node` must have been checked to be a host name.
inline std::string vm_config(unsigned vmid, std::string_view node = "")
{
    return config_file(node.empty() ? std::string(pve_vm_configs) : join(pve_nodes, node) + "/qemu-server",
                       vmid);
}
inline std::string ct_config(unsigned vmid, std::string_view node = "")
{
    return config_file(node.empty() ? std::string(pve_ct_configs) : join(pve_nodes, node) + "/lxc", vmid);
}

// --- Incus and LXD: the sockets of their daemons (6.0 and 5.0: measured; the snap's: its documentation) ---
inline constexpr std::string_view incus_socket = "/var/lib/incus/unix.socket";
inline constexpr std::string_view lxd_socket = "/var/lib/lxd/unix.socket";
inline constexpr std::string_view lxd_snap_socket = "/var/snap/lxd/common/lxd/unix.socket";

// A directory for each VM, with the pid of its QEMU.
inline constexpr std::string_view incus_vms = "/run/incus";
inline constexpr std::string_view lxd_vms = "/var/log/lxd";
inline constexpr std::string_view lxd_snap_vms = "/var/snap/lxd/common/lxd/logs";

// --- /run: what lasts until the host reboots ---
inline constexpr std::string_view pve_run = "/run/qemu-server"; // qemu-server's, PVE/QemuServer/Helpers.pm
inline constexpr std::string_view pve_reservations = "/run/qemu-server/pci-id-reservations"; // .../PCI.pm
inline std::string pve_pid_file(unsigned vmid)
{
    return join(pve_run, std::to_string(vmid)) + ".pid";
}
// While it is there the end of the VM's QEMU is followed by a start (create_reboot_request and
// clear_reboot_request in PVE/QemuServer.pm, `cleanup` in PVE/CLI/qm.pm).
inline std::string pve_reboot_request(unsigned vmid)
{
    return join(pve_run, std::to_string(vmid)) + ".reboot";
}
// What Proxmox locks with flock(2) while it starts, stops or changes a VM (config_file_lock in
// PVE/QemuConfig.pm).
inline std::string vm_config_lock(unsigned vmid)
{
    return join("/run/lock/qemu-server", "lock-" + std::to_string(vmid) + ".conf");
}

inline constexpr std::string_view nvidia_persistence = "/run/nvidia-persistenced/nvidia-persistenced.pid";

inline constexpr std::string_view run = "/run/pve-gpu-hook"; // ours, root only
inline constexpr std::string_view lock = "/run/pve-gpu-hook/lock";
inline constexpr std::string_view claims = "/run/pve-gpu-hook/claims";
inline constexpr std::string_view journals = "/run/pve-gpu-hook/journal";
inline constexpr std::string_view guest_states = "/run/pve-gpu-hook/state";
inline constexpr std::string_view known_cards = "/run/pve-gpu-hook/cards";
// What a VM of Incus or LXD is called, by its number (usage/instances.hpp).
inline constexpr std::string_view instance_notes = "/run/pve-gpu-hook/instances";
inline std::string instance_note(unsigned number)
{
    return join(instance_notes, std::to_string(number));
}
inline std::string instance_lock(unsigned number) // of whoever starts it or tries its recovery
{
    return join(instance_notes, std::to_string(number)) + ".lock";
}
// Of the guests' own reboots (events/notes.hpp), by VMID.
inline constexpr std::string_view stop_notes = "/run/pve-gpu-hook/stops";
inline constexpr std::string_view restart_times = "/run/pve-gpu-hook/reboots";
inline constexpr std::string_view reader_notes = "/run/pve-gpu-hook/events";
inline std::string stop_note(unsigned vmid)
{
    return join(stop_notes, std::to_string(vmid));
}
inline std::string restart_times_of(unsigned vmid)
{
    return join(restart_times, std::to_string(vmid));
}
inline std::string reader_note(unsigned vmid)
{
    return join(reader_notes, std::to_string(vmid));
}

inline std::string json_file(std::string_view directory, unsigned vmid)
{
    return join(directory, std::to_string(vmid)) + ".json";
}
inline std::string claim(unsigned vmid)
{
    return json_file(claims, vmid);
}
inline std::string journal(unsigned vmid)
{
    return json_file(journals, vmid);
}
inline std::string guest_state(unsigned vmid)
{
    return json_file(guest_states, vmid);
}
inline std::string known_card(const PciAddress& port)
{
    return join(known_cards, to_string(port)) + ".json";
}
inline std::string report(unsigned vmid) // of the last run
{
    return json_file(run, vmid);
}
inline std::string report(unsigned vmid, std::string_view phase) // of the last run of that phase
{
    return join(run, std::to_string(vmid)).append(1, '.').append(phase).append(".json");
}

// What Proxmox locks with flock(2) while it changes a container (PVE::LXC::Config::config_file_lock).
inline std::string ct_config_lock(unsigned vmid)
{
    return join("/run/lock/lxc", "pve-config-" + std::to_string(vmid) + ".lock");
}

// --- /var/lib: what the installer has changed ---
inline constexpr std::string_view chained_hooks = "/var/lib/pve-gpu-hook/chained";
inline std::string chained_hook(unsigned vmid)
{
    return json_file(chained_hooks, vmid);
}

// PCI devices that are taken out of a VM of Incus or LXD while its card is recovered: outlasts a reboot, as
// they do.
inline constexpr std::string_view taken_devices = "/var/lib/pve-gpu-hook/taken";
inline std::string taken_devices_of(unsigned number)
{
    return json_file(taken_devices, number);
}

inline constexpr std::string_view install_manifest = "/var/lib/pve-gpu-hook/manifest.json";
inline constexpr std::string_view install_backups = "/var/lib/pve-gpu-hook/backups";
inline constexpr std::string_view install_log = "/var/lib/pve-gpu-hook/last-programs.log";
inline constexpr std::string_view install_state = "/var/lib/pve-gpu-hook";
inline constexpr std::string_view install_lock = "/run/pve-gpu-hook/install.lock";
inline constexpr std::string_view boot_files_changed =
    "/run/pve-gpu-hook/boot-files-changed"; // since it booted

// --- what the installer reads of the host's boot ---
inline constexpr std::string_view cpu_info = "/proc/cpuinfo";
inline constexpr std::string_view efi = "/sys/firmware/efi";
inline constexpr std::string_view efi_loader_info =
    "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
inline constexpr std::string_view efi_secure_boot =
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
inline constexpr std::string_view proxmox_boot_uuids = "/etc/kernel/proxmox-boot-uuids";
inline constexpr std::string_view dpkg_status = "/var/lib/dpkg/status";
inline constexpr std::string_view pve_vm_list = "/etc/pve/.vmlist";
inline constexpr std::string_view pve_members = "/etc/pve/.members";
inline constexpr std::string_view pve_ha_resources = "/etc/pve/ha/resources.cfg";
inline constexpr std::string_view pve_ha_manager = "/etc/pve/ha/manager_status";
inline std::string pve_ha_node(std::string_view node) // `node` must have been checked to be a host name
{
    return join(pve_nodes, node) + "/lrm_status";
}
inline constexpr std::string_view pve_ha_groups = "/etc/pve/ha/groups.cfg"; // Proxmox VE 8
inline constexpr std::string_view pve_ha_rules = "/etc/pve/ha/rules.cfg";   // 9
inline constexpr std::string_view interrupts = "/sys/kernel/irq";
inline constexpr std::string_view subuid = "/etc/subuid";
inline constexpr std::string_view subgid = "/etc/subgid";
inline constexpr std::string_view kernel_modules = "/lib/modules";
inline constexpr std::string_view dkms = "/var/lib/dkms";
inline std::string module_aliases(std::string_view kernel_release)
{
    return join(join(kernel_modules, kernel_release), "modules.alias");
}

// --- what the diagnosis looks at besides ---
inline constexpr std::string_view kernel_log = "/dev/kmsg";
inline constexpr std::string_view uptime = "/proc/uptime";
inline constexpr std::string_view pve_cpu_models = "/etc/pve/virtual-guest/cpu-models.conf";
inline constexpr std::string_view modules_file = "/etc/modules";
inline constexpr std::string_view modules_load_directory = "/etc/modules-load.d";
inline constexpr std::string_view modprobe_directory = "/etc/modprobe.d";
inline constexpr std::string_view cpus = "/sys/devices/system/cpu";
inline constexpr std::string_view numa_nodes = "/sys/devices/system/node";
inline constexpr std::string_view unsafe_interrupts =
    "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";

// --- what the installer writes ---
inline constexpr std::string_view hook_program = "/usr/sbin/pve-gpu-hook";
inline constexpr std::string_view hook_snippet = "pve-gpu-hook"; // its name below a storage's snippets
inline constexpr std::string_view nodes_unit =
    "/usr/lib/systemd/system/pve-gpu-hook-nodes.service"; // package
inline constexpr std::string_view nodes_unit_enabled =    // what 'systemctl enable' makes
    "/etc/systemd/system/multi-user.target.wants/pve-gpu-hook-nodes.service";
inline constexpr std::string_view incus_unit = "/usr/lib/systemd/system/pve-gpu-incus@.service"; // package
inline constexpr std::string_view wanted_at_boot = "/etc/systemd/system/multi-user.target.wants";
inline constexpr std::string_view grub_defaults = "/etc/default/grub";
inline constexpr std::string_view grub_drop_ins = "/etc/default/grub.d";
inline constexpr std::string_view grub_drop_in = "/etc/default/grub.d/pve-gpu-hook.cfg";
inline constexpr std::string_view kernel_cmdline_file = "/etc/kernel/cmdline";
inline constexpr std::string_view modules_load = "/etc/modules-load.d/pve-gpu-hook.conf";
inline constexpr std::string_view modprobe = "/etc/modprobe.d/pve-gpu-hook.conf";
inline constexpr std::string_view initramfs_modules = "/etc/initramfs-tools/modules";
inline constexpr std::string_view udev_rules = "/etc/udev/rules.d/10-pve-gpu-hook.rules";

// --- /etc: the administrator's wishes ---
inline constexpr std::string_view settings = "/etc/pve-gpu-hook/settings.json";

} // namespace pvegpu::paths
