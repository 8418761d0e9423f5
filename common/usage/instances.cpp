#include "usage/instances.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <array>

namespace pvegpu {
namespace {

// "lab_web", as both name directories and groups
std::optional<InstanceName> from_prefixed(std::string_view text)
{
    std::string name(text);
    if (const auto end = name.find('_'); end != std::string::npos) name[end] = '/';
    return parse_instance_name(name);
}

constexpr std::array places_of_vms{paths::incus_vms, paths::lxd_vms, paths::lxd_snap_vms};

std::optional<pid_t> pid_in(const SysReader& reader, std::string_view place, const std::string& directory)
{
    const auto text = reader.read(paths::join(paths::join(place, directory), "qemu.pid")).value_or("");
    const auto pid = parse_decimal(trim(std::string_view(text)));
    return pid ? std::optional(static_cast<pid_t>(*pid)) : std::nullopt;
}

} // namespace

void note_instance(System& system, const InstanceName& name)
{
    const auto path = paths::instance_note(number_of(name));
    if (system.read(path) != name.text()) system.replace_file(path, name.text());
}

std::string name_noted(const SysReader& reader, unsigned number)
{
    const auto name = parse_instance_name(reader.read(paths::instance_note(number)).value_or(""));
    return name ? name->text() : "?";
}

std::string vm_called(const SysReader& reader, unsigned number)
{
    return "VM " + (is_instance(number) ? quote(name_noted(reader, number)) : std::to_string(number));
}

std::string option_of(const SysReader& reader, unsigned number)
{
    return is_instance(number) ? "--incus " + name_noted(reader, number) : "--vm " + std::to_string(number);
}

std::optional<InstanceName> instance_of_qemu(const SysReader& reader, pid_t pid)
{
    for (const auto place : places_of_vms)
        for (const auto& directory : reader.list_directories(std::string(place)))
            if (pid_in(reader, place, directory) == pid) return from_prefixed(directory);
    return std::nullopt;
}

std::optional<pid_t> qemu_of_instance(const SysReader& reader, const InstanceName& name)
{
    for (const auto place : places_of_vms)
        for (const auto& directory : reader.list_directories(std::string(place)))
            if (from_prefixed(directory) == name)
                if (const auto pid = pid_in(reader, place, directory)) return pid;
    return std::nullopt;
}

std::optional<InstanceName> instance_of_container(const SysReader& reader, pid_t pid)
{
    constexpr std::string_view payload = "lxc.payload.";
    const auto text = reader.read(paths::process(pid, "cgroup")).value_or("");
    const auto group = value_in(text, "0").value_or("");
    for (const auto part : split(group, '/'))
        if (part.starts_with(payload)) return from_prefixed(part.substr(payload.size()));
    return std::nullopt;
}

} // namespace pvegpu
