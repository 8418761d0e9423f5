// The PCI tree of the report.
#include "check/report_html.hpp"

#include "base/lists.hpp"
#include "check/facts.hpp"
#include "check/findings.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

// The cards, the bridges above them, and what shares a GPU's group.
std::set<PciAddress> worth_drawing(const CheckFacts& facts)
{
    std::set<PciAddress> wanted;
    for (const auto& gpu : facts.gpus)
        for (const auto& list : {gpu.card.functions, gpu.card.switches, facts.function(gpu).group_members})
            wanted.insert(list.begin(), list.end());
    auto with_bridges = wanted;
    for (const auto& address : wanted)
        if (const auto* function = facts.topology.find(address))
            with_bridges.insert(function->above.begin(), function->above.end());
    return with_bridges;
}

std::string bridge_text(const CheckFacts& facts, const Function& bridge)
{
    const auto type = bridge.config ? bridge.config->pcie : std::nullopt;
    std::string text = type == PcieType::root_port           ? "root port"
                       : type == PcieType::switch_upstream   ? "switch, upstream port"
                       : type == PcieType::switch_downstream ? "switch, downstream port"
                                                             : "bridge";
    const auto& state = facts.state(bridge.address);
    if (state.width != 0) text += ", link x" + std::to_string(state.width) + " at " + state.speed;
    return state.asleep ? text + ", asleep" : text;
}

std::string function_text(const CheckFacts& facts, const Function& function)
{
    auto text = class_word(function) + ", " + device_id(function) + ", " +
                (function.driver.empty() ? "no driver" : function.driver);
    if (function.iommu_group) text += ", group " + std::to_string(*function.iommu_group);
    if (function.boot_vga) text += ", boot display";
    return facts.state(function.address).asleep ? text + ", asleep" : text;
}

std::string guests_with(const CheckFacts& facts, const PciAddress& address)
{
    std::vector<unsigned> vmids;
    for (const auto& guest : facts.survey.guests)
        if (guest.keys.contains(address)) vmids.push_back(guest.id.vmid);
    return vms_in_words(facts, vmids, ", ");
}

std::string span(const char* css_class, const std::string& text)
{
    return text.empty() ? "" : "<span class=\"" + std::string(css_class) + "\">" + escaped(text) + "</span> ";
}

// The worst finding about it, in a word and a colour.
std::string verdict_of(const Findings& findings, const Function& function)
{
    const auto* const found = find_by(findings, to_string(function.address), &Finding::subject);
    if (found == nullptr) return "";
    return span(("verdict " + to_string(found->verdict)).c_str(), to_string(found->verdict));
}

std::string line_of(const CheckFacts& facts, const Findings& findings, const Function& function)
{
    return span(is_gpu(function) && !function.bridge ? "address gpu" : "address",
                with_name(facts.names, function.address)) +
           span("more", function.bridge ? bridge_text(facts, function) : function_text(facts, function)) +
           span("guest", guests_with(facts, function.address)) + verdict_of(findings, function);
}

// Each below the bridge that it hangs on: addresses are in an order that puts bridges first within a bus
// only.
std::vector<const Function*> ordered(const CheckFacts& facts)
{
    std::vector<const Function*> drawn;
    for (const auto& address : worth_drawing(facts))
        if (const auto* function = facts.topology.find(address)) drawn.push_back(function);
    const auto way = [](const Function* function) {
        auto addresses = function->above;
        addresses.push_back(function->address);
        return addresses;
    };
    std::ranges::sort(drawn, {}, way);
    return drawn;
}

} // namespace

std::string tree_html(const CheckFacts& facts, const Findings& findings)
{
    const auto drawn = ordered(facts);
    std::string html;
    std::size_t open = 0; // lists
    std::optional<PciBus> root;
    for (const auto* function : drawn) {
        const auto bus = bus_of(function->above.empty() ? function->address : function->above.front());
        const auto depth = function->above.size() + 1;
        for (; open > (root == bus ? depth : 0); --open) html += "</li></ul>\n";
        if (root != bus) {
            html += "<ul><li>" + span("address", to_string(bus)) + span("more", "root bus");
            open = 1;
            root = bus;
        }
        for (; open <= depth; ++open) html += "\n<ul><li>";
        html += line_of(facts, findings, *function);
    }
    for (; open != 0; --open) html += "</li></ul>\n";
    const auto hidden = facts.topology.functions.size() - drawn.size();
    if (hidden != 0) html += "<p class=\"more\">" + counted(hidden, "other function") + " of the host</p>\n";
    return html;
}

} // namespace pvegpu
