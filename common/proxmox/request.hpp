// What Proxmox asks of the hook.
#pragma once

#include <string>

namespace pvegpu {

enum class Phase { pre_start, post_start, pre_stop, post_stop };

std::string to_string(Phase phase); // "pre-start", ...

// In the place of a VMID, at boot: no single container is started, so none is refused.
inline constexpr unsigned all_containers = 0;

struct Request {
    unsigned vmid = 0; // 100 to 999999999, or all_containers
    Phase phase = Phase::pre_start;
    std::string
        migrated_from; // the node whose directory still has the guest's config; empty on a normal start
};

} // namespace pvegpu
