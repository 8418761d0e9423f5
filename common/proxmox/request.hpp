// What Proxmox asks of the hook.
#pragma once

#include "base/enum_names.hpp"

#include <array>
#include <string>

namespace pvegpu {

enum class Phase { pre_start, post_start, pre_stop, post_stop };

inline constexpr std::array phase_names{
    EnumName{"pre-start", Phase::pre_start}, EnumName{"post-start", Phase::post_start},
    EnumName{"pre-stop", Phase::pre_stop}, EnumName{"post-stop", Phase::post_stop}};
inline std::string to_string(Phase phase)
{
    return name_of(phase_names, phase);
}

struct Request {
    unsigned vmid = 0; // 100 to 999999999
    Phase phase = Phase::pre_start;
    // The node whose directory still has the guest's config; empty on a normal start.
    std::string migrated_from = {};
    // Of Incus or LXD, "web" or "lab/db", where it is no guest of Proxmox; then `vmid` is its number_of, and
    // whoever asks starts it himself: the cards stay claimed as long as this process lives.
    std::string instance = {};
};

} // namespace pvegpu
