// The containers' part: which device nodes they name, what the host has of them, what a running one has.
#include "base/text.hpp"
#include "check/facts.hpp"
#include "containers/conflicts.hpp"
#include "machine/paths.hpp"
#include "usage/containers.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

bool has_refused_line(const std::vector<LxcDevice>& devices)
{
    return std::any_of(devices.begin(), devices.end(), [](const auto& one) { return one.start_error; });
}

std::vector<const SurveyedGuest*> containers_of(const Survey& survey)
{
    std::vector<const SurveyedGuest*> containers;
    for (const auto& guest : survey.guests)
        if (guest.container && !guest.lxc.is_template) containers.push_back(&guest);
    return containers;
}

ContainerFacts read_container(const SysReader& reader, const SurveyedGuest& guest,
                              const std::vector<WantedNode>& wanted, const std::vector<HostGpu>& gpus)
{
    ContainerFacts container{guest.vmid, read_nodes(reader, wanted, gpus), false, {}};
    const auto running = running_containers(reader);
    container.running = std::find(running.begin(), running.end(), guest.vmid) != running.end();
    if (container.running && !wanted.empty()) container.inside = look_inside(reader, guest.vmid, wanted);
    return container;
}

} // namespace

void read_container_facts(const SysReader& reader, CheckFacts& facts, std::int64_t wall_clock)
{
    const auto containers = containers_of(facts.survey);
    if (containers.empty()) return;
    constexpr unsigned nobody = 0; // every reservation and claim counts
    facts.nvidia_version = trim(reader.read(std::string(paths::nvidia_module_version)).value_or(""));
    facts.node_host = read_node_situation(reader, {}, nobody, wall_clock);
    for (const auto* guest : containers) {
        const auto devices = guest->lxc.devices_at_next_start();
        const auto wanted = wanted_nodes(guest->lxc, devices);
        if (!wanted.empty() || has_refused_line(devices))
            facts.containers.push_back(read_container(reader, *guest, wanted, facts.node_host.gpus));
    }
    for (const auto& gpu : facts.gpus)
        if (gpu.passed())
            facts.card_nodes.push_back({gpu.address, nodes_of_function(reader, facts.function(gpu))});
}

} // namespace pvegpu
