// What `status` tells: cards, guests, the hook's last runs, what is left to do.
#pragma once

#include "host/survey.hpp"
#include "incus/taken_devices.hpp"
#include "machine/paths.hpp"
#include "pci/device_names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct LastRun {
    std::string phase, outcome, started, error;
    std::int64_t elapsed_ms = 0;

    bool operator==(const LastRun&) const = default;
};

// Of the text of a report; nothing for text that is none.
std::optional<LastRun> parse_last_run(const std::string& report);

struct GuestStatus {
    SurveyedGuest guest;
    std::optional<LastRun> last_run;
};

// Of a run that is at work, or that was killed half-way; then the next start of any guest puts things back.
struct OpenJournal {
    unsigned vmid = 0;
    std::string guest;              // "VM 101"
    std::vector<std::string> paths; // what is to be put back
};

struct Status {
    HostFacts host;
    Topology topology;
    std::vector<Card> cards;         // of every GPU of the host
    DeviceNames names;               // of what is on them
    std::vector<GuestStatus> guests; // with hostpci, or with our hook
    std::vector<OpenJournal> open_journals;
    std::vector<std::string> reboot_reasons;
    std::vector<std::string> daemons, silent; // as the survey has them
    std::optional<Advice> daemon_problem;
    std::vector<TakenDevices> taken; // of starts that are at work, or were killed half-way

    std::vector<Guest> guests_of(const PciAddress& function) const;
    std::vector<unsigned> numbers_of(const PciAddress& function) const;      // of Proxmox's guests
    std::vector<std::string> instances_of(const PciAddress& function) const; // of Incus or LXD
};

Status read_status(const SysReader& reader);

} // namespace pvegpu
