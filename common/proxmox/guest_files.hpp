// The guest's own file of Proxmox's: which it is, and what is in it.
#pragma once

#include "machine/system.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/request.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

enum class GuestKind { unknown, vm, container };

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

// The guests that have a file in that directory of this node, in order. Throws Error(timed_out) when /etc/pve
// does not answer.
std::vector<unsigned> list_guests(const SysReader& reader, std::string_view directory);

} // namespace pvegpu
