#include "pci/device_table.hpp"

#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace pvegpu {
namespace {

using nlohmann::json;

constexpr std::array bus_resets = {EnumName{"untested", DeviceTraits::BusReset::untested},
                                   EnumName{"safe", DeviceTraits::BusReset::safe},
                                   EnumName{"unsafe", DeviceTraits::BusReset::unsafe}};
constexpr std::array flrs = {EnumName{"untested", DeviceTraits::Flr::untested},
                             EnumName{"works", DeviceTraits::Flr::works},
                             EnumName{"harmful", DeviceTraits::Flr::harmful}};
constexpr std::array shapes = {EnumName{"topology", DeviceTraits::CardShape::ask_topology},
                               EnumName{"one-slot", DeviceTraits::CardShape::one_slot},
                               EnumName{"whole-switch", DeviceTraits::CardShape::whole_switch},
                               EnumName{"integrated", DeviceTraits::CardShape::integrated},
                               EnumName{"switch", DeviceTraits::CardShape::switch_on_card}};

[[noreturn]] void fail(const std::string& what)
{
    throw Error(ErrorKind::failed, {what, "the built-in table is broken, report this"}, "device_table.json");
}

std::string text_of(const json& row, const char* key, const std::string& absent)
{
    const auto found = row.find(key);
    if (found == row.end()) return absent;
    if (!found->is_string()) fail(std::string(key) + " is no text");
    return found->get<std::string>();
}

template <typename Names> auto value_of(const json& row, const char* key, const Names& names)
{
    const std::string text = text_of(row, key, std::string(names.front().name));
    const auto found = find_name(names, text);
    if (found == names.end()) fail(quote(text) + " is no " + key);
    return found->value;
}

unsigned parse_id(std::string_view text)
{
    const auto id = parse_hex(text);
    if (text.size() != 4 || !consists_of(text, is_lower_hex) || !id) fail(quote(text) + " is no id");
    return *id;
}

// "56a6" or "56a0-56a2".
bool in_range(std::string_view range, unsigned device)
{
    const auto ends = split_once(range, '-').value_or(std::pair(range, range));
    const unsigned first = parse_id(ends.first), last = parse_id(ends.second);
    return first <= device && device <= last;
}

// "8086:56a0-56a2 56a6". Every range is read, so that one look finds any mistake in the table.
bool matches(std::string_view ids, unsigned vendor, unsigned device)
{
    const auto halves = split_once(ids, ':');
    if (!halves) fail(quote(ids) + " has no vendor");
    const auto ranges = split(halves->second, ' ');
    const auto hits = std::ranges::count_if(ranges, [device](auto range) { return in_range(range, device); });
    return parse_id(halves->first) == vendor && hits > 0;
}

DeviceTraits traits_of(const json& row)
{
    DeviceTraits traits;
    traits.name = text_of(row, "name", "");
    traits.bus_reset = value_of(row, "bus_reset", bus_resets);
    traits.flr = value_of(row, "flr", flrs);
    traits.shape = value_of(row, "card", shapes);
    traits.reset_module = text_of(row, "reset_module", "");
    traits.source = text_of(row, "source", "");
    if (traits.name.empty() || traits.source.empty()) fail("a row has no name or no source");
    return traits;
}

void check_keys(const json& row)
{
    constexpr std::array<std::string_view, 7> known = {"id",   "name",         "bus_reset", "flr",
                                                       "card", "reset_module", "source"};
    for (const auto& [key, value] : row.items())
        if (!contains(known, key)) fail(quote(key) + " is no column");
}

struct Row {
    std::string ids;
    DeviceTraits traits;
};

std::vector<Row> rows_of(std::string_view table)
{
    constexpr bool exceptions = false, comments = true;
    const json list = json::parse(table, nullptr, exceptions, comments);
    if (!list.is_array()) fail("it is no JSON array");
    std::vector<Row> rows;
    for (const json& row : list) {
        if (!row.is_object()) fail("a row is no object");
        check_keys(row);
        rows.push_back({text_of(row, "id", ""), traits_of(row)});
    }
    return rows;
}

DeviceTraits find_row(const std::vector<Row>& rows, std::uint16_t vendor, std::uint16_t device)
{
    DeviceTraits found;
    for (const auto& [ids, traits] : rows) {
        if (!matches(ids, vendor, device)) continue;
        if (!found.name.empty())
            fail("two rows are about the same device: " + found.name + ", " + traits.name);
        found = traits;
    }
    return found;
}

} // namespace

DeviceTraits traits_from_table(std::string_view table, std::uint16_t vendor, std::uint16_t device)
{
    return find_row(rows_of(table), vendor, device);
}

DeviceTraits device_traits(std::uint16_t vendor, std::uint16_t device)
{
    static const auto rows = rows_of(device_table_json); // a run asks several times
    return find_row(rows, vendor, device);
}

} // namespace pvegpu
