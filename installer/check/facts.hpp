// What the checks know of a host. Read once; what could not be read is nothing, and no check guesses it.
#pragma once

#include "base/error.hpp"
#include "check/cpu_models.hpp"
#include "check/known_messages.hpp"
#include "containers/conflicts.hpp"
#include "containers/inside.hpp"
#include "containers/node_facts.hpp"
#include "events/notes.hpp"
#include "host/modprobe_config.hpp"
#include "host/node_owners.hpp"
#include "host/status.hpp"
#include "host/survey.hpp"
#include "incus/taken_devices.hpp"
#include "machine/paths.hpp"
#include "pci/device_names.hpp"
#include "proxmox/named_devices.hpp"
#include "proxmox/pci_mapping.hpp"
#include "recovery/absent.hpp"
#include "run/step_report.hpp"
#include "settings/settings.hpp"
#include "usage/holders.hpp"
#include "usage/pci_writers.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pvegpu {

// Errors that a function has reported since the host was started: the kernel's aer_dev_* files.
struct AerCounts {
    std::uint64_t fatal = 0, nonfatal = 0, correctable = 0;
};

// What only the checks ask of a function. Texts are as in sysfs; empty: the file is not there.
struct FunctionState {
    std::string power_state; // D0, D3hot, D3cold, unknown
    bool asleep = false;     // its configuration space was not read, because that would have woken it
    unsigned width = 0, max_width = 0; // lanes of its link; 0: unknown, or there is none
    std::string speed;                 // "16.0 GT/s PCIe"
    std::optional<AerCounts> errors;
    std::optional<unsigned> numa_node;             // nothing: the host does not say
    std::map<unsigned, std::uint64_t> largest_bar; // bytes that a resizable BAR can have, by its index
    std::string vgpu_types; // the file below the function in which NVIDIA's vGPU host driver offers its types
};

// A GPU with its card. Several GPUs on one card are one of these each.
struct GpuFacts {
    PciAddress address;
    Card card;
    std::vector<unsigned> vmids; // who is passed the GPU; templates only where no VM is that can start
    bool running = false;        // one of them

    bool passed() const { return !vmids.empty(); }
    std::string file(std::string_view name) const { return paths::function(address, name); } // in sysfs
};

// A container that names device nodes of GPUs, or has a devN line that Proxmox will refuse.
struct ContainerFacts {
    unsigned vmid = 0;
    std::vector<NodeFacts> nodes; // that it names for its next start, as the host has them
    bool running = false;
    Inside inside;                          // of one that runs
    NodeOwners owners = {};                 // whose nodes they were when the installer gave them
    std::vector<Advice> not_delegated = {}; // ids that it maps and root may not map
    std::string other_node = {};            // where it is; empty: on this one

    std::string conf() const { return paths::ct_config(vmid, other_node); }
};

struct HookscriptFacts {
    std::optional<std::string> path; // nothing: its storage is unknown
    std::optional<FileFacts> file;   // nothing: there is none
    bool unseen = false;             // its storage does not answer
};

// What a VM's lines name, as the hook reads it.
struct NamedByVm {
    std::vector<PassedDevice> devices;
    std::vector<MappingMismatch> mismatches;
    AbsentCauses absent; // of what is missing
};

// A guest's hookscript that is not ours: the only one it has, or the one that ours runs first.
struct OtherHook {
    std::string path, text; // the text as far as it was read
    bool chained = false;   // ours runs it
};

struct KernelLog {
    struct Line {
        std::string text;
        std::vector<const KnownMessage*> like;
        std::optional<std::uint64_t> time; // microseconds since the host started
    };
    std::size_t messages = 0;
    std::vector<Line> known; // those that are like a known message, the oldest first
};

struct CheckFacts {
    HostFacts host;
    std::string pve_problem;     // why Proxmox's files could not be read; then there are no guests here
    Survey survey;               // with every guest prepared, so that it has their functions and modules
    std::vector<unsigned> asked; // the guests that the check is for; empty: all of them
    SettingsFile settings;
    PciMappings mappings;
    Topology topology; // every function of the host
    std::map<PciAddress, FunctionState> states;
    std::vector<GpuFacts> gpus; // in the order of addresses
    DeviceNames names;          // of what is on GPUs' cards or in their groups, and of what guests name

    std::optional<bool> unsafe_interrupts;
    std::vector<ModprobeLine> modprobe;
    std::map<std::string, std::vector<std::string>> module_lists;  // by file: /etc/modules, initramfs, ...
    std::set<std::string> loaded_modules;                          // of the few that are asked about
    std::map<PciAddress, std::vector<std::string>> native_modules; // of every GPU
    std::vector<std::string> framebuffers;                         // where each screen's link leads
    std::optional<std::string> governor, frequency_driver;         // of the first processor
    std::map<unsigned, std::set<unsigned>> node_cpus;              // by NUMA node
    std::map<PciAddress, unsigned> mig_instances; // of GPUs that can have some and that NVIDIA's driver has
    std::vector<Holder> neighbours_in_use;
    std::vector<PciWriter> writers;
    std::map<unsigned, HookscriptFacts> hookscripts; // by VMID
    std::map<unsigned, OtherHook> other_hooks;       // by VMID
    std::set<std::string> absent_roms;               // paths of 'romfile's that are not there
    std::map<unsigned, LastRun> last_runs;
    std::map<unsigned, NamedByVm> named; // by VMID; not those whose lines Proxmox would refuse
    // Of VMs with devices that do not run: what the hook's own plan of the next start refuses, if anything.
    std::map<unsigned, std::optional<Refusal>> next_starts;
    std::set<unsigned> running_vms;
    std::vector<TakenDevices> taken;         // out of VMs of Incus or LXD
    std::map<unsigned, ReaderState> readers; // of VMs that run: what the reader of their events is at
    std::vector<ContainerFacts> containers;
    NodeHost node_host;                // what the nodes of all of them hang on. Read if there are containers
    std::vector<CardNodes> card_nodes; // of each GPU that a guest is passed, if there are containers
    std::string nvidia_version;        // of the loaded module: "550.90.07"; empty if there is none
    std::optional<KernelLog> log;      // nothing: it may not be read
    std::optional<std::uint64_t> up;   // microseconds since the host started
    CpuModels cpu_models;              // Proxmox's "custom-NAME"
    std::size_t cloning_tokens = 0;    // API tokens that may clone VMs. Read if there are templates

    const FunctionState& state(const PciAddress& address) const; // an empty one if it was not read
    const Function& function(const GpuFacts& gpu) const { return topology.at(gpu.address); }
    bool is_passed(const PciAddress& address) const;           // to any guest
    const GpuFacts* gpu_with(const PciAddress& address) const; // its port too; nullptr if there is none
    const GpuFacts* first_gpu_of(unsigned vmid) const;         // nullptr: it is passed none

    // Those of the guests that the check is for; all of them where it is for none of them.
    std::vector<unsigned> meant(const std::vector<unsigned>& vmids) const;
    bool has_hook(unsigned vmid) const;
    bool is_template(unsigned vmid) const;
    bool is_elsewhere(unsigned vmid) const; // on another node: what is advised for it is done there
    // To whom advice about something of these guests is given: of those that the check is for the first
    // without the hook that can start, else the first that can, else a template. Nothing where there is none.
    std::optional<unsigned> advised(const std::vector<unsigned>& vmids) const;
    // The VMs whose configuration names the function in any way: passed, mediated, in `args`, or in a line
    // that Proxmox cannot resolve.
    std::vector<unsigned> named_by(const PciAddress& address) const;
};

// Looks only, and wakes nothing. Throws Error where it is no Proxmox host. A guest of another node that is
// `visiting` is looked at as if it were here.
CheckFacts read_check_facts(const SysReader& machine, const GuestEntry* visiting = nullptr);

// The file that Proxmox hands to QEMU for the line's 'romfile' (print_hostpci_devices in PCI.pm); empty if it
// has none.
std::string rom_of(const HostPci& line);

// The parts of it.
void read_host_facts(const SysReader& reader, CheckFacts& facts);
void read_guest_facts(const SysReader& reader, const GuestEntry* visiting, CheckFacts& facts);
void read_container_facts(const SysReader& reader, CheckFacts& facts);

// Of the text of /dev/kmsg. Messages that programs have written there are left out.
KernelLog parse_kernel_log(std::string_view text);

// "0-3,8" -> 0 1 2 3 8; what is no number is skipped. At most 8192, the kernel's own limit (NR_CPUS).
std::set<unsigned> parse_cpu_list(std::string_view text);

} // namespace pvegpu
