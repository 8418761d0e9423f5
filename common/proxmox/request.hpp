// What Proxmox asks of the hook.
#pragma once

#include <string>

namespace pvegpu {

enum class Phase { pre_start, post_start, pre_stop, post_stop };

std::string to_string(Phase phase); // "pre-start", ...

struct Request {
    unsigned vmid = 0; // 100 to 999999999
    Phase phase = Phase::pre_start;
    // The node whose directory still has the guest's config; empty on a normal start.
    std::string migrated_from = {};
};

} // namespace pvegpu
