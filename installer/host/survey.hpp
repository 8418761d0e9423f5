// What the installer knows of a host before it decides anything.
#pragma once

#include "host/kernel_cmdline.hpp"
#include "host/prepared.hpp"
#include "host/pve_files.hpp"
#include "incus/instance.hpp"
#include "machine/system.hpp"
#include "pci/cards.hpp"
#include "pci/device_names.hpp"
#include "pci/topology.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/ha_config.hpp"
#include "proxmox/lxc_config.hpp"
#include "proxmox/storage_config.hpp"
#include "proxmox/vm_args.hpp"
#include "settings/settings.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pvegpu {

// How the host's kernel gets its command line.
enum class BootLoader {
    grub,              // update-grub
    proxmox_grub,      // proxmox-boot-tool, GRUB on its partitions
    proxmox_systemd,   // proxmox-boot-tool, systemd-boot on its partitions: /etc/kernel/cmdline
    proxmox_undecided, // proxmox-boot-tool; which of the two cannot be told, so both are written
    unknown
};
std::string to_string(BootLoader loader);

struct HostFacts {
    std::string proxmox; // version of pve-manager: "8.4.1"; empty: Incus or LXD is all that it has
    std::string kernel;  // release
    CpuVendor cpu = CpuVendor::other;
    bool iommu_on = false;
    std::optional<bool> interrupt_remapping; // as it is now; nothing: it cannot be told
    BootLoader loader = BootLoader::unknown;
    bool secure_boot = false;
    std::optional<bool> lockdown; // nothing: the kernel does not say
    ClusterFacts cluster;
    Tokens running; // the command line of the running kernel

    bool is_proxmox() const { return !proxmox.empty(); }
};

// What a VM of Incus or LXD is not given of its GPU's card, or of the IOMMU groups of what it is given. Incus
// takes only what is named, and QEMU opens no group of which the host has a part.
struct MissingDevice {
    Function facts;
    std::string name;     // of the device that gives it: "pci-04-00-0"
    bool on_card = false; // else it shares a group
    std::string used_by;  // who has it at the moment; empty: nobody
};

struct SurveyedGuest {
    Guest id;
    std::string other_node; // where it is; empty: on this one
    GuestConfig config;
    LxcConfig lxc = {};                     // of a container,
    std::string text;                       // and its configuration as it is written
    std::vector<PciAddress> passed;         // by its hostpci lines, whole, every alternative of a mapping
    std::map<PciAddress, std::string> keys; // of those: "hostpci0"
    VmArgs args;                            // of a VM
    bool running = false;                   // a VM
    std::optional<Advice> problem;          // why its hostpci lines cannot be read
    bool attached = false;                  // our hook is its hookscript
    bool snippet_unseen = false;            // it lies on a storage that can hang, so nobody looked
    std::optional<HaPlacement> ha;          // where high availability may start it
    std::optional<Instance> instance;       // of Incus or LXD: as its daemon has it,
    bool started_bare = false;              // it runs, and it was not our start that its QEMU comes from,
    std::vector<MissingDevice> missing;     // and what is missing, in the order of addresses

    std::string config_path() const
    {
        return instance ? instance->command("config show") : id.config_path(other_node);
    }
    bool is_given_devices() const { return id.is_vm() || id.is_instance(); } // by lines that name them
};

// A function that a prepared guest gets, or that is on the card of one.
struct SurveyedFunction {
    Function facts;
    std::vector<unsigned> vmids; // several VMs may share a card, one at a time
    bool passed = false;
    bool reset_with_card = false;            // the hook resets it with the whole card;
    std::string left_alone_because, instead; // or not: as Card has it
    bool native_after_stop = false;   // "after_stop": "native": the host has it while the guest is stopped
    std::optional<PciAddress> twin;   // a function with equal ids that is not prepared,
    std::vector<unsigned> twin_vmids; // and whose it is; empty: it stays with the host
    bool by_address = false; // not by its ids: because of the twin, of ids that others give, or of Incus
    std::vector<std::string> modules;     // native drivers
    bool driver_can_be_kept_away = false; // `facts.driver` is one of them
    std::string loaded_first;             // of them, a module that was loaded before vfio-pci; empty: none

    bool on_card_of(unsigned vmid) const;
    bool leaves_the_host() const
    {
        return passed && !native_after_stop;
    } // vfio-pci is to have it from boot on
};

// It has a Function-Level Reset that works, as far as the device table knows.
bool resets_itself(const Function& function);

struct Survey {
    HostFacts host;
    std::vector<Storage> storages;
    std::vector<SurveyedGuest> guests;        // of this node
    std::vector<GuestEntry> other_guests;     // of the cluster, on other nodes or on their way
    std::vector<SurveyedGuest> may_come;      // of them, VMs that the host is prepared for
    std::vector<SurveyedFunction> functions;  // of the prepared guests,
    DeviceNames names;                        // and what they are called
    std::map<std::string, std::string> files; // text by path, of those that the installer may change
    std::map<std::string, std::string> links; // target by path
    std::set<std::string> programs;           // which of those that it may run are there
    std::set<std::string> gone_hookscripts;   // volumes that cannot be given back, see removal_survey.hpp
    bool port_without_reset = false;          // the port of a prepared card has no `reset_subordinate`
    Tokens configured;                        // the administrator's part of the next boot's command line
    std::vector<std::string> ids_elsewhere;   // what else gives vfio-pci `ids=`: files, the command line
    std::vector<std::string> daemons;         // "Incus 6.0.4"
    std::optional<Advice> daemon_problem; // why Incus or LXD could not be asked; then its VMs are not here,
    std::vector<std::string> silent;      // or not these, whose QEMU stands still
    std::vector<std::string> instance_names; // of all of Incus and LXD, containers too
    std::vector<std::string> unseen; // of those that the installer has prepared: the ones that it cannot see

    const SurveyedGuest* find(unsigned vmid) const;        // nullptr if there is none
    std::string name_of(unsigned vmid) const;              // "VM 101", "VM 'web'"
    const GuestEntry* find_elsewhere(unsigned vmid) const; // of `other_guests`
    std::optional<std::string> file(std::string_view path) const;
    // The VM is passed a GPU whose card the hook resets before a start, and that has no reset of its own
    // which works: when the guest reboots by itself nothing resets it.
    bool reboot_leaves_dirty(unsigned vmid) const;
};

// Looks only. With the functions of the guests that are attached, of those that the host was prepared for,
// and of `also`. A guest of another node that is `visiting` is looked at as if it were here.
Survey survey_host(const SysReader& reader, const Prepared& also, const GuestEntry* visiting = nullptr);

// Throws Error where it is no Proxmox host.
HostFacts read_machine(const SysReader& reader); // without the cluster: nothing that Proxmox's files tell
HostFacts read_host(const SysReader& reader);

// Whether a file, or its absence, can be told: false while the server of its storage does not answer.
bool storage_answers(const SysReader& reader, const std::string& path);

bool is_our_volume(const std::vector<Storage>& storages, const std::string& volume, const SysReader& reader);

} // namespace pvegpu
