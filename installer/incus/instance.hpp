// Virtual machines of Incus and LXD as their daemon describes them, and which PCI devices they are given.
#pragma once

#include "base/advice.hpp"
#include "base/instance_name.hpp"
#include "incus/daemon.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/guest_files.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

using Texts = std::map<std::string, std::string>;
using Devices = std::map<std::string, Texts>; // by name: "gpu": {"type": "gpu", "pci": "0000:03:00.0"}

struct Instance {
    InstanceName name;
    std::string socket; // of its daemon
    bool is_vm = false;
    std::string status;   // "Stopped" also while it is starting, "Running", "Frozen", "Error"
    std::string location; // the member of a cluster that it is on; "none" where there is no cluster
    Texts config;         // with its profiles'
    Devices own, all;     // its own devices, and those with its profiles'
    Texts own_config;
    Json whole; // as the daemon has it: a change has to send back what it does not change
    std::string etag;

    bool stopped() const { return status == "Stopped"; }
    // "/1.0/instances/web?project=default"; `below`: "/state"
    std::string path(const std::string& below = "") const;
    // "incus config device remove web gpu", "lxc start db --project lab"
    std::string command(const std::string& words, const std::string& rest = "") const;
    // Empty if there is none of that name.
    std::string setting(const std::string& key) const;
};

// Throws std::exception for what is none.
Instance parse_instance(const Json& metadata, const std::string& socket);

// Throws Error(not_found) where there is none of that name, else as DaemonReader::get.
Instance read_instance(const DaemonReader& daemon, const InstanceName& name);

// Of that name with whichever daemon has it: Incus before LXD. Throws Error(not_found) where none has it, or
// there is no daemon.
Instance find_instance(const SysReader& reader, const InstanceName& name);

struct InstanceList {
    std::string server;               // "Incus 6.0.4"
    std::vector<Instance> instances;  // of all projects, containers too
    std::vector<InstanceName> silent; // of which the daemon does not answer: their QEMU stands still
};
// Throws as DaemonReader::get.
InstanceList list_instances(const DaemonReader& daemon);

// The whole of what a PUT of the instance sends: what it leaves out would be emptied.
std::string body_with(const Instance& instance, const Devices& own, const Texts& own_config);

// Those that somebody starts or changes right now; what Incus itself does at boot, or after the guest's own
// reboot, is no operation. Throws as DaemonReader::get.
std::vector<InstanceName> in_operations(const DaemonReader& daemon);

// Its devices that pass a whole PCI function, as Proxmox's lines would: `gpu` with gputype physical gives all
// functions of the slot that are in the GPU's IOMMU group (gpu_physical.go's startVM and getIOMMUGroup's
// users in Incus' source), `pci` its one. A `gpu` without an address is the one that its other options name;
// where they name several or none the line has a start_error, as Incus itself refuses.
GuestConfig as_guest_config(const SysReader& reader, const Instance& instance);
VmFile as_vm_file(const SysReader& reader, const Instance& instance);

// A device's address as sysfs has it: "04:00.0" is 0000:04:00.0. Nothing for what is none.
std::optional<PciAddress> device_address(const Texts& device);

} // namespace pvegpu
