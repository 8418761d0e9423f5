// What keeps a guest that resets itself from being started anew.
#pragma once

#include "base/advice.hpp"
#include "events/notes.hpp"
#include "machine/system.hpp"
#include "proxmox/guest_config.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace pvegpu {

struct Hindrance {
    enum class Kind {
        stop,      // somebody stops it right now
        locked,    // a backup, or another task of Proxmox's: a start would be refused until it has ended
        elsewhere, // high availability or the host's own end has the last word
        setup,     // its configuration: not our hook, 'reboot: 0'
        unknown    // it could not be read
    };
    Kind kind = Kind::unknown;
    Advice advice;

    bool operator==(const Hindrance&) const = default;
};

// Each file of Proxmox's is waited for a second, and after the first that does not answer nothing more is
// read: two seconds in all. Nothing: nothing is in the way.
std::optional<Hindrance> find_hindrance(const SysReader& reader, unsigned vmid, const Process& qemu);

// The note of a stop that has failed, as a shutdown does that the guest ignores: it would count again when
// 'qm cleanup' holds the guest's lock, after a reset. A stop holds that from before its note to its end.
// Throws Error.
void forget_failed_stop(System& system, unsigned vmid, const Process& qemu);

// The administrator's own 'reboot: 0', or '-no-reboot' in `args`: QEMU ends where the guest resets itself,
// and was started so. It is left as it is.
bool ends_at_a_reset(const GuestConfig& config);
inline bool is_no_reboot(std::string_view word) // of QEMU's command line
{
    return word == "-no-reboot" || word == "--no-reboot";
}

// Whether somebody holds a lock on the file with this inode, by the text of /proc/locks
// (Documentation/filesystems/proc.rst of the kernel). Of the inode alone: a lock too many is noticed later
// once more, one too few would start a guest that somebody stops.
bool is_locked(std::string_view locks, std::uint64_t inode);

} // namespace pvegpu
