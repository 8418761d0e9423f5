#include "usage/process.hpp"

#include "machine/paths.hpp"
#include "usage/open_files.hpp"

namespace pvegpu {

std::string to_string(const Process& process)
{
    return std::to_string(process.pid) + " " + std::to_string(process.start);
}

std::optional<Process> find_process(const SysReader& reader, pid_t pid)
{
    const auto stat = parse_proc_stat(reader.read(paths::process(pid, "stat")).value_or(""));
    if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
    return Process{pid, stat->start_time};
}

bool lives(const SysReader& reader, const Process& process)
{
    return find_process(reader, process.pid) == process;
}

} // namespace pvegpu
