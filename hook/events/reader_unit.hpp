// The name under which systemd knows a VM's reader.
#pragma once

#include <string>

namespace pvegpu {

inline std::string reader_unit(unsigned vmid) // "pve-gpu-hook-events@101"; of packaging/
{
    return "pve-gpu-hook-events@" + std::to_string(vmid);
}

} // namespace pvegpu
