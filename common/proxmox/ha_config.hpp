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

} // namespace pvegpu
