// What has to be known of a host before anything is taken back.
#pragma once

#include "changes/manifest.hpp"
#include "host/pve_files.hpp"
#include "host/survey.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// Of a host for which nothing is prepared, with those of the guests' former hookscripts that are gone. Throws
// Error.
Survey survey_for_removal(const SysReader& reader, const Manifest& manifest);

// The same for the package's maintainer scripts, which nothing may hold up: where the cluster file system
// does not answer, that is said, and the rest of the host is what is seen. Nothing on a host that is none of
// Proxmox's: there are no guests.
std::optional<Survey> survey_what_can_be_seen(System& system, const Manifest& manifest);

// A snippet that leads to the hook, and who would run it.
struct NeededSnippet {
    std::string path;
    std::vector<HookReference> references; // empty: it cannot be known whether there are any

    bool operator==(const NeededSnippet&) const = default;
};

// Of the links that the installer made or the survey found. `references` is nothing if they cannot be known:
// then all of them are needed.
std::vector<NeededSnippet> needed_snippets(const Survey& survey, const Manifest& manifest,
                                           const std::optional<std::vector<HookReference>>& references);

// "VM 101, container 901 on 'pve2'", this node's without its name.
std::string name_guests(const std::vector<HookReference>& references, const std::string& own_node);

} // namespace pvegpu
