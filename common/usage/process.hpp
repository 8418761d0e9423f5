// A process that is told from a later one with its pid.
#pragma once

#include "machine/system.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace pvegpu {

struct Process {
    pid_t pid = 0;
    std::uint64_t start = 0; // in clock ticks after boot: field 22 of /proc/PID/stat

    bool operator==(const Process&) const = default;
};
std::string to_string(const Process& process); // "4711 123456"

std::optional<Process> find_process(const SysReader& reader, pid_t pid); // nothing of one that has ended
bool lives(const SysReader& reader, const Process& process);

} // namespace pvegpu
