// Proxmox's files, read within a deadline: /etc/pve is a file system in user space that can hang. Among them
// the guest's own: which it is, and what is in it.
#pragma once

#include "base/error.hpp"
#include "machine/system.hpp"
#include "proxmox/guest.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/lxc_config.hpp"
#include "proxmox/request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// pmxcfs answers from memory. If it does not within seconds it has lost its quorum file system or hangs, and
// Proxmox itself, which has just read the same file, could not go on either.
inline constexpr Milliseconds pve_answers_within{10'000};

// The largest file that pmxcfs keeps (memdb.h).
inline constexpr std::size_t pve_file_bytes = 1U << 20U;

// What is thrown where its place is empty: then every guest seems to be gone.
Error not_mounted();

// Nothing if there is no such file. Throws Error(timed_out) if the file system does not answer, Error(failed)
// if it refuses.
std::optional<std::string> read_pve_file(const SysReader& reader, std::string_view path);

// This node's, as Proxmox's nodename() has it: the host name up to the first dot.
std::string node_name(const SysReader& reader);

struct GuestFile {
    GuestKind kind = GuestKind::unknown;
    std::string path, text;
};

// Of a VM: what its file says, read once in a run.
struct VmFile {
    std::string path;
    GuestConfig config;
};

// Throws Error(not_found) for a guest that does not exist, Error(invalid_config) if the request names a node
// that cannot be one, Error(timed_out) when /etc/pve does not answer.
GuestFile read_guest_file(const SysReader& reader, const Request& request);

// Of a VM, by the format of the qemu-server that is installed; its version is only asked for where it
// matters.
GuestConfig read_guest_config(const SysReader& reader, std::string_view text);

// Of a container, by that of the pve-container that is installed.
LxcConfig read_lxc_config(const SysReader& reader, std::string_view text);

// By dpkg's status.
QemuServer installed_qemu_server(const SysReader& reader);
PveContainer installed_pve_container(const SysReader& reader);

// pve-manager is installed.
bool is_proxmox_host(const SysReader& reader);

// The version of an installed package, of the text of /var/lib/dpkg/status; empty if it is not installed.
std::string package_version(std::string_view dpkg_status, std::string_view package);

// The guests that have a file in that directory of this node, in order. Throws Error(timed_out) when /etc/pve
// does not answer.
std::vector<unsigned> list_guests(const SysReader& reader, std::string_view directory);

} // namespace pvegpu
