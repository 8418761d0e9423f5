// A VM of Incus or LXD as the installer's record has it: what it was given, and what it had before.
#pragma once

#include "base/json.hpp"
#include "incus/instance.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct AttachedInstance {
    InstanceName name;
    std::string socket;
    Devices given;                        // as we wrote them
    Devices before;                       // of those, what was there
    bool set_autostart = false;           // "boot.autostart" is ours,
    std::optional<std::string> autostart; // and was this; nothing: it was not set

    bool operator==(const AttachedInstance&) const = default;
};

Json attached_json(const AttachedInstance& attached);
AttachedInstance parse_attached(const Json& json); // throws std::exception for what is none

// Of the installer's record of this host. None if there is none or it cannot be read: who changes something
// reads all of it and fails.
std::vector<AttachedInstance> read_attached(const SysReader& reader);

// Whether a VM starts with its daemon, by its own word and not a profile's.
inline constexpr const char* autostart_key = "boot.autostart";
std::optional<std::string> own_autostart(const Instance& instance); // nothing: it has none

// What the installer may change of a VM, as a text for people and for the record: its own devices, and
// whether it starts with the daemon.
std::string instance_text(const Devices& own, const std::optional<std::string>& autostart);
std::string instance_text(const Instance& instance);

// Makes a VM be as such a text says. Throws Error where it is not as `before` says, runs, or its daemon
// refuses.
void put_instance_text(System& system, const InstanceName& name, const std::string& socket,
                       const std::string& before, const std::string& after);

} // namespace pvegpu
