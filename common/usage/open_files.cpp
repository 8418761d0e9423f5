#include "usage/open_files.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Calls `visit(pid, directory)` with /proc/PID/fd of every process but our own that has files open.
template <typename Visit> void for_each_process_with_files(const SysReader& reader, Visit visit)
{
    const auto self = reader.read_link(std::string(paths::proc_self)).value_or("");
    // Linux 6.2 and later give the number of a process's open files as the size of its directory of them
    // (proc_fd_getattr in fs/proc/fd.c), older ones 0. The kernel's own threads, most tasks of a host, have
    // none.
    const auto size = [&](const std::string& directory) {
        return reader.file_facts(directory).value_or(FileFacts{}).size;
    };
    const bool counted = size(std::string(paths::proc_self) + "/fd") > 0;
    for (const auto& pid : reader.list(std::string(paths::proc))) {
        if (!consists_of(pid, is_digit) || pid == self) continue;
        const auto directory = paths::join(paths::proc, pid) + "/fd";
        if (counted && size(directory) == 0) continue;
        visit(static_cast<pid_t>(parse_decimal(pid).value_or(0)), directory);
    }
}

// "vfio-device-syspath: /sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0" of /proc/PID/fdinfo
// (vfio_device_show_fdinfo in the kernel's drivers/vfio/vfio_main.c, from 6.18 on)
std::optional<PciAddress> function_in(std::string_view fdinfo)
{
    const auto path = value_in(fdinfo, "vfio-device-syspath");
    return path ? parse_pci_address(last_name(*path)) : std::nullopt;
}

} // namespace

std::vector<OpenNode> find_open_nodes(const SysReader& reader, std::vector<DeviceNumber> wanted)
{
    std::vector<OpenNode> found;
    if (wanted.empty()) return found;
    std::ranges::sort(wanted);
    for_each_process_with_files(reader, [&](pid_t pid, const std::string& directory) {
        for (const auto& [name, number] : reader.device_numbers_in(directory))
            if (std::ranges::binary_search(wanted, number))
                found.push_back({pid, number, reader.read_link(paths::join(directory, name)).value_or("")});
    });
    return found;
}

std::vector<OpenVfioDevice> find_open_vfio_devices(const SysReader& reader)
{
    std::vector<OpenVfioDevice> found;
    for_each_process_with_files(reader, [&](pid_t pid, const std::string& directory) {
        for (const auto& name : reader.list(directory)) {
            if (reader.read_link(paths::join(directory, name)) != "anon_inode:[vfio-device]") continue;
            const auto fdinfo = reader.read(paths::join(directory + "info", name));
            if (const auto function = function_in(fdinfo.value_or(""))) found.push_back({pid, *function});
        }
    });
    return found;
}

std::string program_of(const SysReader& reader, pid_t pid)
{
    return trim_right(reader.read(paths::process(pid, "comm")).value_or(""));
}

// Not from /proc/PID/cmdline: its reader waits for the lock of the process's memory.
std::optional<unsigned> vmid_of(const SysReader& reader, pid_t pid)
{
    for (const auto& name : reader.list(std::string(paths::pve_run))) {
        if (!name.ends_with(".pid")) continue;
        const auto vmid = parse_decimal(std::string_view(name).substr(0, name.size() - 4));
        if (!vmid) continue; // qsd-101.pid is a storage daemon
        const auto text = reader.read(paths::pve_pid_file(*vmid)).value_or("");
        if (parse_decimal(trim(text)) == static_cast<unsigned>(pid)) return vmid;
    }
    return std::nullopt;
}

std::optional<ProcStat> parse_proc_stat(std::string_view text)
{
    // The program's name may hold blanks and parentheses; what follows it is one letter and numbers.
    const auto open = text.find(" (");
    const auto close = text.rfind(") ");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
        return std::nullopt;
    const auto fields = split(text.substr(close + 2), ' ');
    constexpr std::size_t start = 22 - 3; // the first one is field 3
    if (fields.size() <= start || fields[0].size() != 1) return std::nullopt;
    const auto pid = parse_number<pid_t>(text.substr(0, open));
    const auto parent = parse_number<pid_t>(fields[1]);
    const auto start_time = parse_number<std::uint64_t>(trim_right(fields[start]));
    if (!pid || !parent || !start_time) return std::nullopt;
    return ProcStat{*pid, std::string(text.substr(open + 2, close - open - 2)), fields[0].front(), *parent,
                    *start_time};
}

} // namespace pvegpu
