#include "proxmox/delegated_ids.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <cstdint>

namespace pvegpu {
namespace {

struct Range {
    std::uint64_t first = 0, end = 0;
};

// "root:100000:65536", "0:104:1"
std::vector<Range> ranges_of_root(std::string_view text)
{
    std::vector<Range> ranges;
    for (LineReader lines(text); lines.next();) {
        const auto parts = split(lines.line(), ':');
        if (parts.size() != 3 || (parts[0] != "root" && parts[0] != "0")) continue;
        const auto first = parse_decimal(parts[1]), count = parse_decimal(parts[2]);
        if (first && count) ranges.push_back({*first, std::uint64_t{*first} + *count});
    }
    std::ranges::sort(ranges, {}, &Range::first);
    return ranges;
}

// The first part of the range that no other has; empty if together they have all of it.
Range gap_in(Range wanted, const std::vector<Range>& ranges)
{
    for (const auto& range : ranges) {
        if (range.first > wanted.first) return {wanted.first, std::min(wanted.end, range.first)};
        wanted.first = std::max(wanted.first, range.end);
        if (wanted.first >= wanted.end) return {};
    }
    return wanted;
}

Advice not_given(const LxcIdMap& map, const Range& gap)
{
    const std::string file = map.groups ? "/etc/subgid" : "/etc/subuid", what = map.groups ? "g" : "u";
    const auto line = "root:" + std::to_string(gap.first) + ":" + std::to_string(gap.end - gap.first);
    return {"the map '" + what + " " + std::to_string(map.inside) + " " + std::to_string(map.host) + " " +
                std::to_string(map.count) + "' gives it ids of the host that '" + file +
                "' does not give to root, and new" + what + "idmap refuses that",
            "add the line '" + line + "' to '" + file + "'"};
}

} // namespace

std::vector<Advice> not_delegated(const SysReader& reader, const LxcConfig& config)
{
    return not_delegated(config, reader.read(std::string(paths::subuid)),
                         reader.read(std::string(paths::subgid)));
}

std::vector<Advice> not_delegated(const LxcConfig& config, const std::optional<std::string>& subuid,
                                  const std::optional<std::string>& subgid)
{
    std::vector<Advice> found;
    for (const auto& map : config.id_maps) {
        const auto& text = map.groups ? subgid : subuid;
        const bool roots_own = map.host == 0 && map.count == 1; // which newuidmap lets it map
        if (!text || roots_own) continue;
        const auto gap = gap_in({map.host, std::uint64_t{map.host} + map.count}, ranges_of_root(*text));
        if (gap.first == gap.end) continue;
        found.push_back(not_given(map, gap));
    }
    return found;
}

} // namespace pvegpu
