// Proxmox's files, read within a deadline: /etc/pve is a file system in user space that can hang.
#pragma once

#include "machine/system.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

// pmxcfs answers from memory. If it does not within seconds it has lost its quorum file system or hangs, and
// Proxmox itself, which has just read the same file, could not go on either.
inline constexpr Milliseconds pve_answers_within{10'000};

// The largest file that pmxcfs keeps (memdb.h).
inline constexpr std::size_t pve_file_bytes = 1U << 20U;

// Nothing if there is no such file. Throws Error(timed_out) if the file system does not answer, Error(failed)
// if it refuses.
std::optional<std::string> read_pve_file(const SysReader& reader, std::string_view path);

} // namespace pvegpu
