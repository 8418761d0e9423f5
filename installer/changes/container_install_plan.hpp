// What the installer will change for a container, decided from what is known. Pure.
#pragma once

#include "changes/install_plan.hpp"
#include "changes/manifest.hpp"
#include "host/container_survey.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct ContainerOptions {
    std::vector<std::string> gpus = {}; // words of --gpu
    bool replace_hard_coded = false;    // the administrator has agreed to it
    std::vector<std::string> mig = {};  // words of --mig
};

// Appends to the plan: devN for nodes that the container does not name yet, in place of its hard-coded lines
// if that is wished, the hookscript; as notes the hard-coded lines that stay, and why it has to be restarted.
// A container that names GPU nodes keeps them unless more are wished for, and all that its hard-coded lines
// give it; what cannot be kept is named. Throws Error, also where it could not start afterwards.
void add_container_changes(const Survey& survey, const ContainerSurvey& container,
                           const ContainerOptions& options, const Manifest& manifest, InstallPlan& plan);

} // namespace pvegpu
