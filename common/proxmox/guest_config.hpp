// What we need of /etc/pve/qemu-server/VMID.conf, read by Proxmox's own grammar (parse_vm_config in
// qemu-server's QemuServer.pm; the hostpci format in QemuServer/PCI.pm).
#pragma once

#include "base/advice.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// The text of one element of a `host` list, known to match Proxmox's PCIRE: "01:00", "0000:01:00.1",
// "10000:e1:00.0". Lower-case hex digits, colons and one dot; so it is safe as part of a path.
struct HostSelector {
    std::string text;

    // Whether Proxmox's lspci() would take the function with this sysfs name for it: the name, with or
    // without the domain 0000, begins with the text.
    bool matches(std::string_view sysfs_name) const;

    bool operator==(const HostSelector&) const = default;
};

// The installed qemu-server, by whose format the lines are read.
struct QemuServer {
    std::string version; // of the package: "8.4.10"; empty: unknown, which is taken for the newest

    // `driver=` came with 9.0.25 (aa47045f, October 2025; Proxmox VE 8 never had it). Before, Proxmox drops a
    // line that has it.
    bool knows_driver() const;
    // Whether a mapping's `mdev` has to be what the hardware offers: from 8.3.9 on (4a9d7737, April 2025).
    bool compares_mdev() const;
};

inline constexpr unsigned max_hostpci = 16; // MAX_HOSTPCI_DEVICES in PCI.pm

struct HostPci {
    unsigned index = 0;              // the N of hostpciN
    std::vector<HostSelector> hosts; // empty when `mapping` is set, unless `start_error` says otherwise
    std::optional<std::string> mapping;
    std::optional<std::string> mdev;
    bool names_driver = false; // it has the key `driver`
    bool keep_driver = false;  // driver=keep: Proxmox neither binds nor resets the device
    bool pcie = false;
    bool x_vga = false;
    bool legacy_igd = false;
    unsigned line = 0; // of the file, from 1
    std::string text;  // the value as written

    // Why Proxmox, which keeps the line, will refuse to start the VM because of it; nothing if it will not.
    std::optional<Advice> start_error;

    std::string device = {}; // of a VM of Incus or LXD: what it calls this device

    std::string key() const { return device.empty() ? "hostpci" + std::to_string(index) : device; }
};

// A line that Proxmox drops or stumbles over, for the log.
struct ConfigWarning {
    unsigned line = 0;         // from 1
    Advice advice;             // quotes the line or its key
    bool loses_device = false; // the guest starts without the device that the line names

    // "FILE:LINE: fact"
    Advice in(const std::string& file) const
    {
        return {file + ":" + std::to_string(line) + ": " + advice.fact, advice.remedy};
    }
};

struct GuestConfig {
    std::vector<HostPci> hostpci; // in the order of N
    bool is_template = false;
    std::string lock;       // "backup", "rollback", ...; empty if there is none
    std::string hookscript; // the volume id as written; empty if there is none
    std::vector<ConfigWarning> warnings;

    // The other lines, key and value as written; Proxmox's own check of each value is not repeated here.
    std::map<std::string, std::string> settings;
    std::vector<std::string> ram_snapshots; // names of the snapshots that have the guest's memory

    // Empty if there is no such line.
    std::string setting(const std::string& key) const;
};

// Reads the live section only, but for the names of snapshots. Never fails: Proxmox drops what it cannot
// read, and so do we, with a warning.
GuestConfig parse_guest_config(std::string_view text, const QemuServer& server = {});

} // namespace pvegpu
