// What a container can open today by its hard-coded lines, and what becomes of it when they go. Pure.
#pragma once

#include "base/advice.hpp"
#include "containers/hard_coded.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct KeptNode {
    std::string path;
    std::optional<FileFacts> rights; // of one that is mounted
};

struct AccessToKeep {
    std::vector<KeptNode> nodes;     // that devN entries keep for it
    std::vector<std::string> losses; // "container 901 loses '/dev/nvidia7' (195:7)": nothing can keep them
    std::vector<Advice> warnings;    // with each loss
};

// The nodes that the lines mount, and those that it has made itself by the numbers that they allow, as they
// are seen in one that runs.
AccessToKeep access_to_keep(const ContainerSurvey& container, const HardCoded& hard_coded);

} // namespace pvegpu
