// What the removal of the package decides: which snippets have to stay although the program goes. Pure.
#pragma once

#include "host/hook_references.hpp"
#include "host/manifest.hpp"
#include "host/survey.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

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
