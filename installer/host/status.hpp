// What `status` tells: cards, guests, the hook's last runs, what is left to do.
#pragma once

#include "host/survey.hpp"
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

    std::vector<unsigned> guests_of(const PciAddress& function) const;
};

Status read_status(const SysReader& reader);

} // namespace pvegpu
