// The PCI tree of the report.
#include "check/report_html.hpp"

#include "base/lists.hpp"
#include "check/facts.hpp"
#include "check/findings.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

constexpr unsigned row_height = 40, box_height = 30, indent = 34, width = 1000, margin = 6;

struct Row {
    const Function* function = nullptr; // nullptr: a root bus, or what was left out
    std::string address, text, guests;
    unsigned depth = 0;
    std::optional<std::size_t> parent; // its row
};

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
    auto text = to_string(role_of(function)) + ", " + device_id(function) + ", " +
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
    return vms_in_words(vmids, ", ");
}

Row row_of(const CheckFacts& facts, const Function& function)
{
    return {&function,
            to_string(function.address),
            function.bridge ? bridge_text(facts, function) : function_text(facts, function),
            guests_with(facts, function.address),
            static_cast<unsigned>(function.above.size() + 1),
            {}};
}

// Above it in the list, and one step out: addresses are in an order that puts bridges first within a bus
// only.
std::vector<Row> ordered(const CheckFacts& facts)
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
    std::vector<Row> rows;
    std::optional<PciBus> root;
    for (const auto* function : drawn) {
        const auto bus = bus_of(function->above.empty() ? function->address : function->above.front());
        if (root != bus) rows.push_back({nullptr, to_string(bus), "root bus", "", 0, {}});
        root = bus;
        rows.push_back(row_of(facts, *function));
    }
    const auto hidden = facts.topology.functions.size() - drawn.size();
    if (hidden != 0)
        rows.push_back({nullptr, "", counted(hidden, "other function") + " of the host", "", 0, {}});
    return rows;
}

void connect(std::vector<Row>& rows)
{
    std::vector<std::size_t> open; // the last row of each depth
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto& row = rows[i];
        if (row.depth > 0 && row.depth <= open.size()) row.parent = open[row.depth - 1];
        open.resize(std::min<std::size_t>(row.depth, open.size()));
        open.resize(row.depth + 1, i);
    }
}

std::string number(std::size_t value)
{
    return std::to_string(value);
}

std::string text_at(std::size_t x, std::size_t y, const char* css_class, const std::string& text,
                    const char* anchor = "start")
{
    return "<text x='" + number(x) + "' y='" + number(y) + "' class='" + css_class + "' text-anchor='" +
           anchor + "'>" + escaped(text) + "</text>";
}

std::size_t left_of(const Row& row)
{
    return margin + row.depth * indent;
}

std::string wire(const Row& row, const Row& parent, std::size_t index)
{
    const auto x = left_of(parent) + indent / 2;
    const auto top = *row.parent * row_height + margin + box_height;
    const auto middle = index * row_height + margin + box_height / 2;
    return "<path class='wire' d='M" + number(x) + " " + number(top) + " V" + number(middle) + " H" +
           number(left_of(row)) + "'/>";
}

std::string dot(const Findings& findings, const Row& row, std::size_t y)
{
    const auto* found = find_by(findings, row.address, &Finding::subject);
    if (found == nullptr) return "";
    return "<circle class='" + to_string(found->verdict) + "' cx='" + number(width - margin - 16) + "' cy='" +
           number(y + box_height / 2) + "' r='6'><title>" + to_string(found->verdict) + "</title></circle>";
}

std::string box(const Findings& findings, const Row& row, std::size_t index)
{
    constexpr std::size_t advance = 8; // pixels of a character at 13 px, rounded up
    const auto x = left_of(row), y = index * row_height + margin, base = y + 20;
    const bool gpu = row.function != nullptr && !row.function->bridge && is_gpu(*row.function);
    std::string svg;
    if (!row.address.empty())
        svg += "<rect class='" + std::string(gpu ? "gpu" : "plain") + "' x='" + number(x) + "' y='" +
               number(y) + "' width='" + number(width - margin - x) + "' height='" + number(box_height) +
               "' rx='6'/>";
    svg += text_at(x + 12, base, "address", row.address);
    const auto after = row.address.empty() ? 0 : row.address.size() * advance + advance;
    svg += text_at(x + 12 + after, base, "more", row.text);
    if (!row.guests.empty()) svg += text_at(width - margin - 34, base, "guest", row.guests, "end");
    return svg + dot(findings, row, y);
}

} // namespace

std::string tree_svg(const CheckFacts& facts, const Findings& findings)
{
    auto rows = ordered(facts);
    connect(rows);
    const auto height = rows.size() * row_height + margin;
    std::string svg = "<svg viewBox='0 0 " + number(width) + " " + number(height) +
                      "' xmlns='http://www.w3.org/2000/svg' role='img' aria-label='PCI tree'>\n";
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (rows[i].parent) svg += wire(rows[i], rows[*rows[i].parent], i) + "\n";
    for (std::size_t i = 0; i < rows.size(); ++i) svg += box(findings, rows[i], i) + "\n";
    return svg + "</svg>\n";
}

} // namespace pvegpu
