#include "containers/boot.hpp"

#include "base/error.hpp"
#include "containers/prepare.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/situation.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// The lines of all containers as if one container had them: each node is brought once.
void collect(System& system, unsigned vmid, Situation& all)
{
    Situation guest;
    guest.request = {vmid, Phase::pre_start, ""};
    try {
        may_have_a_gpu(system, guest);
    } catch (const Error& error) {
        if (error.reason() != Reason::not_found) throw;
        return; // it was removed, or went to another node, since the list was made
    }
    if (guest.guest != GuestKind::container || guest.container.is_template) return;
    LxcConfig devices_only;
    for (auto& wanted : wanted_nodes(devices_only, guest.container.devices_at_next_start())) {
        wanted.from = "container " + std::to_string(vmid) + ", " + wanted.from;
        const auto known = [&](const WantedNode& other) { return other.node.path == wanted.node.path; };
        if (std::none_of(all.wanted.begin(), all.wanted.end(), known)) all.wanted.push_back(wanted);
    }
}

void prepare(System& system, const Situation& all)
{
    const auto settings = read_settings(system);
    Report report;
    report.plan.request = all.request;
    prepare_container(system, all, settings, report);
    for (const auto& node : report.plan.nodes)
        system.say(Severity::info, "'" + node.wanted.node.path + "' " +
                                       (node.present ? "is there" : "is not there") + " (" +
                                       node.wanted.from + ")");
}

} // namespace

void prepare_nodes_at_boot(System& system)
{
    Situation all;
    all.request.vmid = all_containers;
    for (const auto vmid : list_guests(system, paths::pve_ct_configs)) collect(system, vmid, all);
    if (!all.wanted.empty()) prepare(system, all);
}

} // namespace pvegpu
