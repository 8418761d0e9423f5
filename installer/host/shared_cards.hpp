// VMs and containers of this node that name one card. Pure.
#pragma once

#include "host/survey.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/lxc_config.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// The device nodes of a function, below /dev; see nodes_of_function.
struct CardNodes {
    PciAddress function;
    std::vector<std::string> paths;
};
std::optional<WantedNode> wanted_node_of(const SurveyedGuest& container, const CardNodes& card); // the first
std::vector<Advice> shared_card_warnings(const Survey& survey, const std::vector<CardNodes>& cards);

} // namespace pvegpu
