// A file that others change too, replaced while their lock of it is held. For the child that does it: the
// file may be on a file system that never answers.
#pragma once

#include <chrono>
#include <string>

namespace pvegpu {

struct LockedReplacement {
    std::string lock;   // its path; the file is made if it is not there
    std::string before; // what has to be there
    std::string after;
};

std::string pack(const LockedReplacement& replacement);
LockedReplacement unpack_locked_replacement(const std::string& packed);

// 0 or an errno: EWOULDBLOCK if somebody else has the lock for so long, ESTALE if something else is there.
// The file keeps its owner and mode.
int replace_locked(const std::string& path, const LockedReplacement& replacement,
                   std::chrono::milliseconds lock_free_within);

} // namespace pvegpu
