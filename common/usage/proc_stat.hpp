// /proc/PID/stat, as proc(5) describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace pvegpu {

struct ProcStat {
    pid_t pid = 0;
    std::string program;          // up to 15 characters, whatever the program likes: "tmux: server", "a) R 1"
    char state = '?';             // field 3: R running, S sleeping, D waiting uninterruptibly, Z zombie
    pid_t parent = 0;             // field 4
    std::uint64_t start_time = 0; // field 22, clock ticks after boot: tells apart two users of one pid
};

// "329 (task UPID:pve:0) S 274 0 0 0 -1 4194368 25 0 0 0 0 0 0 0 20 0 1 0 432 2314240 242 ..."; nothing for
// text that is not like this.
std::optional<ProcStat> parse_proc_stat(std::string_view text);

} // namespace pvegpu
