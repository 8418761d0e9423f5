// While a card is recovered the VM is without its PCI devices: that keeps everybody else from starting it
// with them, since Incus locks nothing. What was taken is written down first, on the disk: whoever is killed
// in between leaves a VM without its GPU, and the next run puts it back.
//
// {"schema":"pve-gpu-hook/taken/1","instance":"lab/db","socket":"/var/lib/incus/unix.socket",
//  "devices":{"gpu":{"type":"gpu","pci":"0000:03:00.0"},"audio":null}}      null: a profile's, hidden by a
//  "none"
#pragma once

#include "incus/instance.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct TakenDevices {
    InstanceName name;
    std::string socket;
    std::map<std::string, std::optional<Texts>> devices; // nothing: a profile's

    bool operator==(const TakenDevices&) const = default;
};

std::string print_taken(const TakenDevices& taken);
std::optional<TakenDevices> parse_taken(std::string_view text); // nothing of a damaged one

// What earlier runs have left, or what is out right now. A damaged note counts as one without devices.
std::vector<TakenDevices> read_taken(const SysReader& reader);

// Takes the devices of these names out of a VM that does not run. Throws Error where it, or its daemon, does
// not let them go; then they are in it as before.
void take_devices(System& system, const Instance& instance, const std::vector<std::string>& names);

// Puts back what is still missing; one that somebody has set anew since stays as he did. True if something
// was put back. Throws Error(in_use) where the VM runs without them, else as Daemon::change: the note stays
// then.
bool give_devices_back(System& system, const TakenDevices& taken);

// Of this VM, where somebody has left something. True if something was put back. Throws as above.
bool give_back_what_was_left(System& system, const InstanceName& name);

} // namespace pvegpu
