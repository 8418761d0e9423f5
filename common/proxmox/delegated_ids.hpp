// Which ids of the host root may give to a container, by /etc/subuid and /etc/subgid. Where newuidmap and
// newgidmap are installed, as on every Proxmox host, LXC has them write the maps, and insists that root has
// the ranges in these files too (lxc_map_ids in lxc's conf.c; have_sub_uids and verify_range in shadow's
// newuidmap.c).
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"
#include "proxmox/lxc_config.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// Of this host's files.
std::vector<Advice> not_delegated(const SysReader& reader, const LxcConfig& config);

// Each map of the container that the start would fail on, with the line to add. A file that could not be read
// is nothing, and says nothing.
std::vector<Advice> not_delegated(const LxcConfig& config, const std::optional<std::string>& subuid,
                                  const std::optional<std::string>& subgid);

} // namespace pvegpu
