// Where Proxmox's high availability may start a guest. Grammar: PVE::SectionConfig; meaning:
// PVE::HA::Resources, Groups (Proxmox VE 8) and Rules::NodeAffinity (9). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// The texts of /etc/pve/ha/resources.cfg, groups.cfg and rules.cfg; empty: there is no such file.
struct HaFiles {
    std::string_view resources, groups, rules;
};

struct HaPlacement {
    std::vector<std::string> nodes; // the only ones that it may go to; empty: any
};

// `guest` is "vm:101" or "ct:901". Nothing if high availability has nothing to do with it.
std::optional<HaPlacement> ha_placement(const HaFiles& files, std::string_view guest);

// What high availability has in mind for the guests of a node: resources.cfg, /etc/pve/ha/manager_status and
// the node's lrm_status, the last two JSON; empty: there is no such file.
struct HaStatus {
    std::string_view resources, manager, node;
};

// Why a guest that ends would not, or should not, be started again on this node: its requested state is not
// "started", or the node is in maintenance or going down. Nothing if it may be, or high availability has
// nothing to do with it. What cannot be read means no. (PVE::HA::Config::read_and_check_resources_config;
// node_status and service_status of PVE::HA::Manager; mode in PVE::HA::LRM: active, reboot, shutdown,
// restart, maintenance.)
std::optional<std::string> ha_objection(const HaStatus& status, std::string_view guest,
                                        std::string_view node);

} // namespace pvegpu
