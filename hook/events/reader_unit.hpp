// A VM's reader as systemd knows it.
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>

namespace pvegpu {

inline std::string reader_unit(unsigned vmid) // "pve-gpu-hook-events@101"; of packaging/
{
    return "pve-gpu-hook-events@" + std::to_string(vmid);
}

// Orders systemd to start it, and does not wait until it runs. What is said of one that does not take the
// order: nothing if it has, or if this is a tree of files.
std::optional<Advice> start_reader(System& system, unsigned vmid);

} // namespace pvegpu
