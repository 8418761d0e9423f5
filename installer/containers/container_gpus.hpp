// Which of a host's GPUs a container is given, and through which of its nodes. Pure.
#pragma once

#include "host/container_survey.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct GivenGpu {
    const HostGpu* gpu = nullptr; // of the survey
    bool nvidia = false;          // through NVIDIA's own node
    std::string render;           // its path in the container; empty if it has none of this GPU
};

// In the order of the survey's GPUs. With the whole of /dev/dri those that have nodes in it now.
std::vector<GivenGpu> gpus_given_to(const ContainerSurvey& container);

} // namespace pvegpu
