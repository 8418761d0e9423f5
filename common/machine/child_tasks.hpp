// What a BoundedChild's process does for its parent.
#pragma once

#include <cstdint>
#include <string>

namespace pvegpu {

struct Task {
    enum class Kind : std::uint32_t {
        read,
        write,
        claim,
        pulse_bridge_control,
        clear_bridge_control,
        list_ipv4,      // interfaces with an address
        list_inside,    // `text`: the directory and the prefix, a line each
        replace_locked, // `text`: a packed LockedReplacement; `number`: milliseconds to wait for the lock
        guard,          // the child's own: a write that it does when its parent has gone
        forget_guarded
    };

    Kind kind = Kind::read;
    std::uint64_t number = 0; // the bytes to read or the milliseconds to hold
    std::string path;
    std::string text;
};

// 0 or an errno. What a read brought is in `text`.
int perform_task(const Task& task, std::string& text);

} // namespace pvegpu
