// The device nodes of a GPU, and how a container is given one. Pure.
#pragma once

#include "host/container_survey.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// A devN entry's path and its whole value: "/dev/dri/renderD128", "/dev/dri/renderD128,mode=0666".
struct NewDevice {
    std::string path, value;
};

NewDevice device_for(const std::string& path);

std::vector<std::string> dri_paths_of(const HostGpu& gpu); // "/dev/dri/renderD128", "/dev/dri/card0"

// All that a program in the container needs to use the GPU, by the driver that it has on the host.
std::vector<std::string> node_paths_of(const HostGpu& gpu, const ContainerSurvey& host);

} // namespace pvegpu
