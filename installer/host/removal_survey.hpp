// What has to be known of a host before anything is taken back.
#pragma once

#include "host/manifest.hpp"
#include "host/survey.hpp"

namespace pvegpu {

// Of a host for which nothing is prepared, with those of the guests' former hookscripts that are gone. Throws
// Error.
Survey survey_for_removal(const SysReader& reader, const Manifest& manifest);

// The same for the package's maintainer scripts, which nothing may hold up: where the cluster file system
// does not answer, that is said, and the rest of the host is what is seen. Nothing on a host that is none of
// Proxmox's: there are no guests.
std::optional<Survey> survey_what_can_be_seen(System& system, const Manifest& manifest);

} // namespace pvegpu
