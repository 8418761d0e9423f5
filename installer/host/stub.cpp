#include "host/stub.hpp"

#include "base/error.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// Proxmox asks for the right to execute it; and guests may be started by others than its owner's group.
constexpr mode_t mode_of_stub = 0755;

// The name of what will be there.
std::string make_room_beside(System& system, const std::string& path)
{
    auto next = path + ".next";
    system.remove_file(next); // of a run that was killed
    return next;
}

void take_the_place(System& system, const std::string& next, const std::string& path)
{
    try {
        system.move_file(next, path);
    } catch (const Error&) {
        system.remove_file(next);
        throw;
    }
}

} // namespace

std::string_view stub_text()
{
    return "#!/bin/sh\n"
           "# Left by the removal of the package pve-gpu-hook: Proxmox does not start a guest whose "
           "hookscript is\n"
           "# missing. Remove this file once no guest refers to it any more.\n"
           "[ ! -x /usr/sbin/pve-gpu-hook ] || exec /usr/sbin/pve-gpu-hook \"$@\"\n"
           "echo \"pve-gpu-hook: the package is removed, so guest $1 starts without a recovery of its GPU; "
           "to end this\" \\\n"
           "    \"message: 'qm set $1 --delete hookscript', for a container 'pct set $1 --delete "
           "hookscript'\" >&2\n"
           "exit 0\n";
}

bool is_stub(const SysReader& reader, const std::string& path)
{
    const auto outcome = reader.read_within(path, stub_text().size() + 1, storage_answers_within);
    return outcome.done() && outcome.text == stub_text();
}

void leave_stub(System& system, const std::string& path)
{
    const auto next = make_room_beside(system, path);
    system.install_file(next, stub_text(), mode_of_stub);
    take_the_place(system, next, path);
}

void link_to_hook(System& system, const std::string& path)
{
    const auto next = make_room_beside(system, path);
    system.make_link(next, std::string(paths::hook_program));
    take_the_place(system, next, path);
}

} // namespace pvegpu
