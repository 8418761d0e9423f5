// What the installer will change for a container, decided from what is known. Pure.
#pragma once

#include "ct_survey.hpp"
#include "install_plan.hpp"
#include "manifest.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// The GPUs that the words of --gpu name: "0,1" (the numbers of /dev/nvidiaN on a host with NVIDIA's driver,
// elsewhere the place among the GPUs that have device nodes, from 0) or "0000:01:00.0". Without a word: the
// only one that has nodes. Throws Error with the choice that there is.
std::vector<const HostGpu*> choose_gpus(const std::vector<HostGpu>& gpus,
                                        const std::vector<std::string>& words);

struct ContainerWishes {
    std::vector<std::string> gpus = {}; // words of --gpu
    bool replace_hard_coded = false;    // the administrator has agreed to it
};

// Appends to the plan: devN for nodes that the container does not name yet, in place of its hard-coded lines
// if that is wished, the hookscript; as notes the hard-coded lines that stay, and why it has to be restarted.
// A container that names GPU nodes keeps them unless more are wished for. Throws Error.
void add_container_changes(const Survey& survey, const ContainerSurvey& container,
                           const ContainerWishes& wishes, const Manifest& manifest, InstallPlan& plan);

// VMs and containers of this node that name one card. `nodes`: of a function, below /dev.
struct CardNodes {
    PciAddress function;
    std::vector<std::string> paths;
};
std::optional<WantedNode> wanted_node_of(const SurveyedGuest& container, const CardNodes& card); // the first
std::vector<std::string> shared_card_warnings(const Survey& survey, const std::vector<CardNodes>& cards);

} // namespace pvegpu
