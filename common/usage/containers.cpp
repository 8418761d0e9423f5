#include "usage/containers.hpp"

#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Of groups that the container may make as it likes. An init process sits in the first two or three.
constexpr std::size_t most_groups = 64;

// "NSpid:	4711	1": the pid in the host's namespace, then in the container's. A process deeper inside,
// in a container of the container, has more numbers.
bool is_first_of_a_container(const SysReader& reader, pid_t pid)
{
    const auto status = reader.read(paths::process(pid, "status")).value_or("");
    const auto numbers = split(value_in(status, "NSpid").value_or(""), '\t');
    return numbers.size() == 2 && numbers[1] == "1";
}

std::optional<pid_t> first_process_in(const SysReader& reader, const std::string& group)
{
    const auto text = reader.read(paths::join(group, "cgroup.procs")).value_or("");
    for (LineReader lines(text); lines.next();) {
        const auto pid = parse_decimal(lines.line());
        if (pid && is_first_of_a_container(reader, static_cast<pid_t>(*pid))) return static_cast<pid_t>(*pid);
    }
    return std::nullopt;
}

// "populated 1": a process is in the group or below it. LXC leaves empty groups behind now and then.
bool is_populated(const SysReader& reader, const std::string& group)
{
    return reader.read(paths::join(group, "cgroup.events")).value_or("").find("populated 1") !=
           std::string::npos;
}

} // namespace

std::vector<unsigned> running_containers(const SysReader& reader)
{
    std::vector<unsigned> vmids;
    for (const auto& name : reader.list_directories(std::string(paths::container_groups)))
        if (const auto vmid = parse_vmid(name);
            vmid && is_populated(reader, paths::join(paths::container_groups, name)))
            vmids.push_back(*vmid);
    std::ranges::sort(vmids);
    return vmids;
}

// "0::/lxc/901/ns/init.scope"
std::optional<unsigned> container_of(const SysReader& reader, pid_t pid)
{
    constexpr std::string_view below = ":/lxc/";
    const auto text = reader.read(paths::process(pid, "cgroup")).value_or("");
    const auto group = value_in(text, "0").value_or("");
    return group.starts_with(below) ? parse_vmid(split(group.substr(below.size()), '/').front())
                                    : std::nullopt;
}

// The outer groups first: systemd sits in ns/init.scope, other init programs in ns itself.
std::optional<pid_t> container_init(const SysReader& reader, unsigned vmid)
{
    std::vector<std::string> groups{paths::join(paths::container_groups, std::to_string(vmid))};
    for (std::size_t next = 0; next < groups.size(); ++next) {
        const auto group = groups[next];
        if (const auto pid = first_process_in(reader, group)) return pid;
        for (const auto& name : reader.list_directories(group))
            if (groups.size() < most_groups) groups.push_back(paths::join(group, name));
    }
    return std::nullopt;
}

} // namespace pvegpu
