// What has to be known of a host before anything is taken back.
#pragma once

#include "manifest.hpp"
#include "survey.hpp"

namespace pvegpu {

// Of a host for which nothing is prepared, with those of the guests' former hookscripts that are gone. Throws
// Error.
Survey survey_for_removal(const SysReader& reader, const Manifest& manifest);

} // namespace pvegpu
