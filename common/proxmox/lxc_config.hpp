// What we need of /etc/pve/lxc/VMID.conf, read by Proxmox's own grammar (parse_pct_config, parse_device and
// foreach_passthrough_device in pve-container's LXC/Config.pm).
#pragma once

#include "proxmox/guest_config.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// The installed pve-container, by whose format the lines are read.
struct PveContainer {
    std::string version; // of the package: "5.0.4"; empty: unknown, which is taken for the newest

    // devN came with 5.0.7 (ce1976b, November 2023: Proxmox VE 8.0 has none). Before, Proxmox warns of such a
    // line and does nothing with it.
    bool knows_devices() const;
    // With 5.2.0 (6935e9f, September 2024). Before, Proxmox does not start a container with it.
    bool knows_deny_write() const;
};

// A devN line: Proxmox makes the node in the container, with the number that the path has when it starts.
struct LxcDevice {
    std::string key;   // "dev0"
    std::string value; // as written
    std::string path;  // "/dev/nvidia0"; empty with `start_error`
    unsigned line = 0; // of the file, from 1

    // Why Proxmox, which keeps the line, will refuse to start the container because of it.
    std::optional<std::string> start_error;
    std::string too_new = {}; // the property that the installed pve-container does not know, if that is why

    // Of its properties: "gid" is 104.
    std::optional<unsigned> number(std::string_view property) const;
    bool is_everybodys() const; // its mode lets everybody read and write

    // The value with another path, with another property; the rest stays.
    std::string value_with_path(const std::string& other) const;
    std::string value_with(const std::string& property, const std::string& other) const;
    std::string value_without(const std::string& property) const;
};

// An lxc.mount.entry: fstab's fields.
struct LxcMount {
    std::string source;    // "/dev/nvidia0"
    std::string target;    // in the container, relative to its root: "dev/nvidia0"
    bool optional = false; // LXC starts the container without it
    unsigned line = 0;
};

// An lxc.cgroup2.devices.allow. A number that is '*' is nothing.
struct LxcAllow {
    bool everything = false; // "a"
    bool block = false;
    std::optional<unsigned> major, minor;
    std::string text; // "c 511:* rwm"
    unsigned line = 0;

    bool covers_character(unsigned wanted_major, unsigned wanted_minor) const;
};

// An lxc.idmap: `count` ids from `inside` on are those from `host` on.
struct LxcIdMap {
    bool groups = false; // of users otherwise
    unsigned inside = 0, host = 0, count = 0;
};

struct LxcConfig {
    std::vector<LxcDevice> devices; // each key once, in the order of N
    std::vector<LxcMount> mounts;
    std::vector<LxcMount> bind_points; // mpN of a path of the host
    std::vector<LxcAllow> allowed;
    std::vector<LxcDevice> pending;   // devN that become valid at the next start
    std::vector<std::string> deleted; // keys that go away at the next start
    std::vector<LxcIdMap> id_maps;    // empty: the container's ids are the host's
    bool is_template = false;
    std::string hookscript; // the volume id as written; empty if there is none
    std::string rootfs;     // the same
    std::vector<ConfigWarning> warnings;

    // Proxmox applies what is pending before it looks at any device (vm_start in LXC.pm).
    std::vector<LxcDevice> devices_at_next_start() const;

    // Whether somebody in the container has that id of the host.
    bool has_user(unsigned host_id) const { return has_id(false, host_id); }
    bool has_group(unsigned host_id) const { return has_id(true, host_id); }

private:
    bool has_id(bool group, unsigned host_id) const;
};

// The live section and what is pending; snapshots are left out. Never fails.
LxcConfig parse_lxc_config(std::string_view text, const PveContainer& package = {});

} // namespace pvegpu
