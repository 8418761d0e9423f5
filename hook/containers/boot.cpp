#include "containers/boot.hpp"

#include "base/error.hpp"
#include "containers/prepare.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"
#include "settings/settings.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// The lines of all containers as if one container had them: each node is brought once.
void collect(const SysReader& reader, unsigned vmid, ContainerGuest& all)
{
    GuestFile file;
    try {
        file = read_guest_file(reader, {.vmid = vmid});
    } catch (const Error& error) {
        if (error.reason() != Reason::not_found) throw;
        return; // it was removed, or went to another node, since the list was made
    }
    if (file.kind != GuestKind::container) return;
    const auto config = parse_lxc_config(file.text);
    if (config.is_template) return;
    LxcConfig devices_only;
    for (auto& wanted : wanted_nodes(devices_only, config.devices_at_next_start())) {
        wanted.from = "container " + std::to_string(vmid) + ", " + wanted.from;
        const auto known = [&](const WantedNode& other) { return other.node.path == wanted.node.path; };
        if (std::ranges::none_of(all.wanted, known)) all.wanted.push_back(wanted);
    }
}

} // namespace

void prepare_nodes_at_boot(System& system)
{
    ContainerGuest all;
    for (const auto vmid : list_guests(system, paths::pve_ct_configs)) collect(system, vmid, all);
    if (all.wanted.empty()) return;
    NodePlan plan;
    std::vector<StepReport> steps;
    prepare_container(system, all, read_settings(system).for_everyone(), plan, steps);
    for (const auto& node : plan.nodes)
        system.say(Severity::info, "'" + node.wanted.node.path + "' " +
                                       (node.present ? "is there" : "is not there") + " (" +
                                       node.wanted.from + ")");
}

} // namespace pvegpu
