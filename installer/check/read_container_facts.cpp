// The containers' part: which device nodes they name, what the host has of them, what a running one has.
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/facts.hpp"
#include "containers/conflicts.hpp"
#include "machine/paths.hpp"
#include "usage/containers.hpp"

namespace pvegpu {
namespace {

bool is_container(const SurveyedGuest& guest)
{
    return guest.container && !guest.lxc.is_template;
}

} // namespace

void read_container_facts(const SysReader& reader, CheckFacts& facts)
{
    if (std::ranges::none_of(facts.survey.guests, is_container)) return;
    facts.nvidia_version = trim(reader.read(std::string(paths::nvidia_module_version)).value_or(""));
    facts.node_host = read_node_situation(reader, {}, std::nullopt);
    const auto running = running_containers(reader);
    for (const auto& guest : facts.survey.guests) {
        if (!is_container(guest)) continue;
        const auto devices = guest.lxc.devices_at_next_start();
        const auto wanted = wanted_nodes(guest.lxc, devices);
        const bool refused =
            std::ranges::any_of(devices, [](const auto& device) { return device.start_error.has_value(); });
        if (wanted.empty() && !refused) continue;
        ContainerFacts container{
            guest.vmid, read_nodes(reader, wanted, facts.node_host.gpus), contains(running, guest.vmid), {}};
        if (container.running && !wanted.empty()) container.inside = look_inside(reader, guest.vmid, wanted);
        facts.containers.push_back(std::move(container));
    }
    for (const auto& gpu : facts.gpus)
        if (gpu.passed())
            facts.card_nodes.push_back({gpu.address, nodes_of_function(reader, facts.function(gpu))});
}

} // namespace pvegpu
