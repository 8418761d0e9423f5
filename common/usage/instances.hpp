// Virtual machines and containers of Incus and LXD: what their numbers stand for, and whose a process is.
#pragma once

#include "base/instance_name.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>

namespace pvegpu {

// What an instance is called, for whoever finds its number later: lasts until the host reboots.
void note_instance(System& system, const InstanceName& name);
std::string name_noted(const SysReader& reader, unsigned number); // "?" if nobody has noted it
// "VM 101", "VM 'web'"
std::string vm_called(const SysReader& reader, unsigned number);
// As our options take it: "--vm 101", "--incus web"
std::string option_of(const SysReader& reader, unsigned number);

// The VM that a QEMU was started for, by the file with its pid: /run/incus/lab_web/qemu.pid, the project in
// front of the name but for the default one (project.Instance, and pidFilePath in driver_qemu.go, of Incus
// and LXD). Its command line, which says it too, is not read: that can wait for the lock of its memory.
std::optional<InstanceName> instance_of_qemu(const SysReader& reader, pid_t pid);
// The other way round; nothing of one that has none.
std::optional<pid_t> qemu_of_instance(const SysReader& reader, const InstanceName& name);
// The container that a process is in, by its control group: "0::/lxc.payload.lab_web/init.scope" (lxc's
// lxc.cgroup.pattern in both).
std::optional<InstanceName> instance_of_container(const SysReader& reader, pid_t pid);

} // namespace pvegpu
