// Whether a container with this configuration could be started on the host as it is, and what the install has
// to make for it first. Pure.
#pragma once

#include "base/advice.hpp"
#include "host/container_survey.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct StartForecast {
    std::vector<Advice> refusals; // it cannot start, and nothing that we do changes it
    std::vector<Advice> warnings;
    std::vector<std::string> missing;              // nodes of devN lines that are not there yet
    std::vector<std::string> to_make;              // paths of NVIDIA's nodes that nvidia-modprobe makes
    std::vector<std::vector<std::string>> to_load; // programs that load drivers whose nodes devN lines name
};

// `config` is what the container will have, before devN are added to it.
StartForecast forecast_start(const ContainerSurvey& container, const LxcConfig& config);

// What the refusals say, as one.
Advice cannot_start(unsigned vmid, const std::vector<Advice>& refusals);

} // namespace pvegpu
