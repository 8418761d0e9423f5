// Proxmox's files, read within a deadline: /etc/pve is a file system in user space that can hang.
#pragma once

#include "system.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

// Nothing if there is no such file. Throws Error(timed_out) if the file system does not answer, Error(failed)
// if it refuses.
std::optional<std::string> read_pve_file(const SysReader& reader, std::string_view path);

} // namespace pvegpu
