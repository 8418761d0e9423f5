// Which guests of the cluster would run a snippet: those of other nodes too, which may come to this one.
#pragma once

#include "machine/system.hpp"
#include "proxmox/guest.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct HookReference {
    Guest id;
    std::string node;
    std::string volume; // "local:snippets/pve-gpu-hook"
    bool saved = false; // of a snapshot or a pending change: setting the hookscript leaves it as it is

    bool operator==(const HookReference&) const = default;
};

struct HookscriptUse {
    std::string volume;
    bool saved = false; // as above

    bool operator==(const HookscriptUse&) const = default;
};

// Those of a guest's configuration, each once. A snapshot's counts: a rollback brings it back
// (PVE::AbstractConfig::__snapshot_apply_config).
std::vector<HookscriptUse> hookscripts_of(std::string_view config);

// Nothing if it cannot be known: the cluster file system is not mounted, or does not answer.
std::optional<std::vector<HookReference>> read_hook_references(const SysReader& reader);

} // namespace pvegpu
