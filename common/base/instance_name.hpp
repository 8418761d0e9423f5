// What Incus and LXD call a virtual machine or a container, where Proxmox has a number.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

struct InstanceName {
    std::string project = "default";
    std::string name;

    std::string text() const { return project == "default" ? name : project + "/" + name; } // "web", "lab/db"
    std::string vm() const { return "VM '" + text() + "'"; } // as messages call one that is a VM
    auto operator<=>(const InstanceName&) const = default;
};

// "web" or "lab/db". A name is a host name (ValidHostname in Incus' shared/validate), a project's has no
// blank, slash, underscore or quote (projectValidateName in cmd/incusd/api_project.go); so both are safe as
// parts of a path and of a URL. Nothing for other texts.
std::optional<InstanceName> parse_instance_name(std::string_view text);

// Our files below /run have a guest's number in their names. An instance has one above Proxmox's largest,
// made of its name: the same at each start, and unlikely to be another's (one of three thousand million).
unsigned number_of(const InstanceName& name);
bool is_instance(unsigned number);

} // namespace pvegpu
