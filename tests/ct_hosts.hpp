// Hosts with containers and NVIDIA's driver, for tests.
#pragma once

#include "machines.hpp"

#include <string>

namespace pvegpu::testing {

// A card of NVIDIA in a slot (06:00), its native driver not loaded; `modprobe` and `nvidia-modprobe` do what
// the real ones do.
struct NvidiaOptions {
    bool loaded = false;         // the driver, and its nodes are there
    bool nvidia_modprobe = true; // is installed
    unsigned uvm_major = 508;
};
void add_nvidia_host(FakeSystem& machine, const NvidiaOptions& options = {});

// `pct` that changes configurations and restarts containers as Proxmox's does. Whether a running container
// gets a new devN at once depends on the version.
void add_pct(FakeSystem& machine, bool hotplug = true);

void add_container(FakeSystem& machine, unsigned vmid, const std::string& lines);

// Its first process in the control group where Proxmox has LXC put it, and its /dev and libraries below
// /proc/PID/root.
void start_container(FakeSystem& machine, unsigned vmid, pid_t init);
void stop_container(FakeSystem& machine, unsigned vmid, pid_t init);
void give_node(FakeSystem& machine, pid_t init, const std::string& path, DeviceNumber number);

inline constexpr const char* mounted_nvidia =
    "lxc.cgroup2.devices.allow: c 195:* rwm\n"
    "lxc.cgroup2.devices.allow: c 508:* rwm\n"
    "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file\n"
    "lxc.mount.entry: /dev/nvidiactl dev/nvidiactl none bind,optional,create=file\n"
    "lxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file\n";

} // namespace pvegpu::testing
