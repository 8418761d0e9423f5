// The time that is left to a whole run, out of which every step gets its share.
#pragma once

#include "base/error.hpp"
#include "machine/system.hpp"

#include <algorithm>

namespace pvegpu {

class Deadline {
public:
    Deadline(const System& system, Milliseconds total) : end_(system.now() + total), total_(total) {}

    // At most `wanted`, at most what is left. Throws Error(timed_out) when nothing is.
    Milliseconds at_most(const System& system, Milliseconds wanted) const
    {
        const auto left = std::chrono::duration_cast<Milliseconds>(end_ - system.now());
        if (left.count() <= 0)
            throw Error(
                ErrorKind::timed_out,
                {"recovery exceeded " + in_seconds(total_) + " ('timeouts': 'total')",
                 "start the guest again; its report in '/run/pve-gpu-hook' tells which step took them"});
        return std::min(wanted, left);
    }

private:
    TimePoint end_;
    Milliseconds total_;
};

} // namespace pvegpu
