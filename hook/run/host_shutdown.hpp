// Whether the host is going down.
#pragma once

#include "machine/paths.hpp"
#include "machine/system.hpp"

#include <string>

namespace pvegpu {

// systemd's own word; a host without systemd is not shutting down as far as anybody can tell.
inline bool host_is_shutting_down(System& system, Milliseconds answers_within)
{
    const std::string systemctl(paths::systemctl_program);
    return system.run({systemctl, "is-system-running"}, answers_within).text.starts_with("stopping");
}

} // namespace pvegpu
