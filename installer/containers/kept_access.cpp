#include "containers/kept_access.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::optional<FileFacts> rights_of(const ContainerSurvey& container, const std::string& path)
{
    const auto* mounted =
        find_where(container.mounted, [&](const MountedDevice& device) { return device.path == path; });
    return mounted == nullptr ? std::nullopt : std::optional(mounted->rights);
}

// By a line of its configuration: mounted, or a devN.
bool was_given(const ContainerSurvey& container, const std::string& path)
{
    return std::ranges::any_of(container.wanted, [&](const WantedNode& wanted) {
        return wanted.in_guest == path ||
               (wanted.node.is_directory() && path.starts_with(wanted.in_guest + "/"));
    });
}

void keep_own(const ContainerSurvey& container, const HardCoded& hard_coded, const std::string& path,
              DeviceNumber number, AccessToKeep& kept)
{
    const auto* allow = find_where(hard_coded.allowed, [&](const LxcAllow& one) {
        return one.covers_character(number.major, number.minor);
    });
    if (allow == nullptr || number.block) return;
    const auto on_host = container.host_nodes.find(path);
    if (on_host != container.host_nodes.end() && on_host->second == number)
        return kept.nodes.push_back({path, std::nullopt});
    const auto loss = "container " + std::to_string(container.vmid) + " loses " + quote(path) + " (" +
                      to_string(number) + ")";
    kept.losses.push_back(loss);
    kept.warnings.push_back({loss + ", which it has made itself and may open by line " +
                                 std::to_string(allow->line) + " (" + quote(allow->text) +
                                 "), and which the host does not have",
                             "without '--replace-hard-coded' it keeps it"});
}

} // namespace

AccessToKeep access_to_keep(const ContainerSurvey& container, const HardCoded& hard_coded)
{
    AccessToKeep kept;
    for (const auto& path : hard_coded.paths) kept.nodes.push_back({path, rights_of(container, path)});
    for (const auto& [path, number] : container.inside.devices)
        if (!was_given(container, path)) keep_own(container, hard_coded, path, number, kept);
    const auto by_place = [](const MountedDevice& device) {
        return device.path.starts_with("/dev/dri/by-path/");
    };
    if (hard_coded.directory && std::ranges::any_of(container.mounted, by_place))
        kept.warnings.push_back(
            {"container " + std::to_string(container.vmid) +
                 " keeps the device nodes of '/dev/dri' and loses the links in '/dev/dri/by-path'",
             "tell what in it uses one of them the device node itself"});
    return kept;
}

} // namespace pvegpu
