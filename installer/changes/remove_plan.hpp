// How what was installed is taken back. Pure.
#pragma once

#include "changes/change.hpp"
#include "changes/instance_install_plan.hpp"
#include "changes/manifest.hpp"
#include "host/pve_files.hpp"
#include "host/survey.hpp"

#include <vector>

namespace pvegpu {

struct RemovePlan {
    std::vector<Change> changes;
    std::vector<Advice> warnings; // what is left as it is, and why
    Manifest left;                // of what is still to be undone later
};

// These guests get back the hookscript that they had, and VMs of Incus or LXD are as they were. Throws Error
// for one that is not here.
RemovePlan make_detach_plan(const Survey& survey, const Manifest& manifest,
                            const std::vector<unsigned>& vmids,
                            const std::vector<InstanceName>& instances = {},
                            IfItRuns if_it_runs = IfItRuns::refuse);

// Every guest of this node, every file and link. A file that the administrator has changed since is left and
// named, and so is a link that one of `references` needs once this node's guests are detached.
RemovePlan make_uninstall_plan(const Survey& survey, const Manifest& manifest,
                               const std::vector<HookReference>& references);

} // namespace pvegpu
