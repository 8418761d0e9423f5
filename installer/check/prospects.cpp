#include "check/prospects.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/check.hpp"
#include "check/facts.hpp"
#include "check/show_checks.hpp"
#include "proxmox/guest_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// What happened once does not keep anybody from a start.
bool is_of_the_past(const Finding& finding)
{
    return finding.name.starts_with("log.") || finding.name == "guest.last-run";
}

bool wants_a_gpu(const CheckFacts& facts, const SurveyedGuest& guest)
{
    if (guest.id.is_vm()) return !guest.config.hostpci.empty() && !guest.config.is_template;
    return contains(facts.containers, guest.id.vmid, &ContainerFacts::vmid);
}

// The facts are asked about this guest.
std::vector<Advice> in_the_way_of(const CheckFacts& facts, const SurveyedGuest& guest)
{
    std::vector<Advice> found;
    const auto& node = facts.host.cluster.node;
    if (guest.ha && !guest.ha->nodes.empty() && !contains(guest.ha->nodes, node))
        found.push_back({"high availability starts it on '" + join(guest.ha->nodes, "' or '") + "' only",
                         "add " + quote(node) + " to its rule or group under Datacenter > HA"});
    for (const auto& finding : run_checks(facts))
        if (finding.verdict == Verdict::error && !is_of_the_past(finding))
            found.push_back({finding.evidence, remedy_text(finding.remedy)});
    return found;
}

Prospect prospect_of(CheckFacts& facts, const SurveyedGuest& guest)
{
    facts.asked = {guest.id.vmid};
    return {guest.id, guest.config.setting("name"),
            guest.other_node.empty() ? facts.host.cluster.node : guest.other_node,
            in_the_way_of(facts, guest)};
}

void require_guests(const CheckFacts& facts, const std::vector<unsigned>& vmids)
{
    if (!facts.pve_problem.empty()) throw Error(ErrorKind::failed, {facts.pve_problem});
    for (const auto vmid : vmids)
        if (facts.survey.find(vmid) == nullptr && facts.survey.find_elsewhere(vmid) == nullptr)
            throw Error(ErrorKind::not_found,
                        {"there is no guest " + std::to_string(vmid) + " in the cluster",
                         "'qm list' and 'pct list' show those of a node"});
}

} // namespace

Prospects read_prospects(const SysReader& machine, const std::vector<unsigned>& vmids)
{
    auto facts = read_check_facts(machine);
    require_guests(facts, vmids);
    const auto is_asked = [&](const Guest& guest) { return vmids.empty() || contains(vmids, guest.vmid); };
    Prospects prospects{facts.host.cluster.node, {}};
    for (const auto& guest : facts.survey.guests)
        if (is_asked(guest.id) && wants_a_gpu(facts, guest))
            prospects.guests.push_back(prospect_of(facts, guest));
    for (const auto& entry : facts.survey.other_guests) {
        if (!is_asked(entry.id)) continue;
        auto visited = read_check_facts(machine, &entry);
        const auto* guest = visited.survey.find(entry.id.vmid); // none: it is on its way
        if (guest != nullptr && wants_a_gpu(visited, *guest))
            prospects.guests.push_back(prospect_of(visited, *guest));
    }
    std::ranges::sort(prospects.guests, {}, [](const Prospect& one) { return one.id.vmid; });
    return prospects;
}

std::string print_prospects(const Prospects& prospects, const Screen& screen)
{
    if (prospects.guests.empty()) return "no guest of the cluster is passed anything\n";
    std::string text;
    for (const auto& [id, name, node, in_the_way] : prospects.guests) {
        text += printable(id.name() + (name.empty() ? "" : ", " + name) +
                          (node == prospects.node ? "" : ", now on '" + node + "'") + ": ");
        text += in_the_way.empty() ? screen.painted("would start", Colour::green)
                                   : screen.painted("would not start", Colour::red);
        text += " on " + quote(prospects.node) + "\n";
        for (const auto& advice : in_the_way) text += "    " + printable(to_string(advice)) + "\n";
    }
    return text;
}

Json prospects_json(const Prospects& prospects)
{
    Json json{{"schema", "pve-gpu-hook/prospects/1"}, {"node", prospects.node}, {"guests", Json::array()}};
    for (const auto& [id, name, node, in_the_way] : prospects.guests) {
        Json guest{{"vmid", id.vmid},
                   {"type", id.type()},
                   {"name", or_null(name)},
                   {"node", node},
                   {"starts", in_the_way.empty()},
                   {"in_the_way", Json::array()}};
        for (const auto& advice : in_the_way)
            guest["in_the_way"].push_back({{"what", advice.fact}, {"remedy", or_null(advice.remedy)}});
        json["guests"].push_back(std::move(guest));
    }
    return json;
}

} // namespace pvegpu
