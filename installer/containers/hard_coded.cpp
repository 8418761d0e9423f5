#include "containers/hard_coded.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/node_plan.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// The majors that the kernel gives to character drivers without one of their own
// (Documentation/admin-guide/devices.txt): one that no driver has now was of nvidia-uvm at another boot. A
// fixed one without a driver is another thing's, a serial adapter that is not plugged in.
bool is_dynamic(unsigned major)
{
    return (major >= 234 && major <= 254) || (major >= 384 && major <= 511);
}

bool is_number_of(const LxcAllow& allow, const std::string& path, const ContainerSurvey& container)
{
    const auto found = container.host_nodes.find(path);
    return found != container.host_nodes.end() &&
           allow.covers_character(found->second.major, found->second.minor);
}

// Of a node that the lines that go have given it, or of no driver at all.
bool is_of(const LxcAllow& allow, const std::vector<std::string>& paths, const ContainerSurvey& container)
{
    if (allow.everything || allow.block || !allow.major) return false;
    const auto& majors = container.host.majors;
    const auto driver = majors.name_of(*allow.major);
    if (driver.empty() && is_dynamic(*allow.major)) return true;
    return std::ranges::any_of(paths, [&](const std::string& path) {
        constexpr unsigned nvidia = 195, drm = 226; // devices.txt too
        const auto node = parse_gpu_node(path);
        if (!node) return false;
        if (node->is_uvm()) return driver == "nvidia-uvm";
        if (node->kind == NodeKind::nvidia_cap) return driver == "nvidia-caps";
        if (node->kind == NodeKind::kfd) return driver == "kfd" || is_number_of(allow, path, container);
        if (node->kind == NodeKind::nvidia_other) return is_number_of(allow, path, container);
        return *allow.major == (node->is_nvidia() ? nvidia : drm);
    });
}

// Another mount has a node with a number that it allows.
bool is_needed(const LxcAllow& allow, const std::vector<HardCodedLine>& going,
               const ContainerSurvey& container)
{
    return std::ranges::any_of(container.mounted, [&](const MountedDevice& device) {
        const bool goes = std::ranges::find(going, device.line, &HardCodedLine::number) != going.end();
        return !goes && allow.covers_character(device.number.major, device.number.minor);
    });
}

// The GPUs' first, in their order; a firmware's screen and a USB display have nodes there too.
std::vector<std::string> nodes_of_dri(const ContainerSurvey& container)
{
    std::vector<std::string> paths;
    const auto add = [&](const std::string& path) {
        if (path.starts_with("/dev/dri/") && !contains(paths, path)) paths.push_back(path);
    };
    for (const auto& gpu : container.host.gpus)
        for (const auto& path : gpu.nodes()) add(path);
    for (const auto& [path, number] : container.host_nodes)
        if (!path.starts_with("/dev/dri/by-path/")) add(path);
    return paths;
}

// What a mounted directory gives it of GPUs today.
std::vector<std::string> nodes_in(const LxcMount& mount, const GpuNode& directory,
                                  const ContainerSurvey& container)
{
    if (directory.kind == NodeKind::dri) return nodes_of_dri(container);
    std::vector<std::string> paths;
    for (const auto& device : container.mounted)
        if (device.line == mount.line && parse_gpu_node(device.path)) paths.push_back(device.path);
    return paths;
}

// Proxmox makes a devN at its host's path only, and refuses to start without the node.
bool is_replaceable(const LxcMount& mount, const GpuNode& node, const ContainerSurvey& container)
{
    if (node.path != "/" + mount.target.substr(0, mount.target.find_last_not_of('/') + 1)) return false;
    if (node.is_directory()) return !nodes_in(mount, node, container).empty();
    const WantedNode wanted{node, "lxc.mount.entry", node.path, mount.line, mount.optional};
    const bool can_be_made = container.host.nvidia_modprobe && nvidia_modprobe_makes(node.kind) &&
                             node.kind != NodeKind::nvidia_cap &&
                             !why_missing(wanted, container.host, container.wanted);
    return container.host_nodes.contains(node.path) || can_be_made;
}

struct Sections {
    std::vector<std::string> live;
    std::string rest; // snapshots and what is pending; they begin with a bracket
};

Sections sections_of(std::string_view text)
{
    Sections sections;
    for (LineReader reader(text); reader.next();)
        if (sections.rest.empty() && !reader.line().starts_with('['))
            sections.live.emplace_back(reader.line());
        else
            sections.rest += std::string(reader.line()) + "\n";
    return sections;
}

std::vector<std::string> missing_lines(const std::vector<std::string>& all,
                                       const std::vector<std::string>& in)
{
    std::vector<std::string> missing;
    for (const auto& line : all)
        if (!is_blank(line) && !contains(in, line)) missing.push_back(line);
    return missing;
}

// Those of the lines that it has not at the end of the live section.
std::string text_with(Sections sections, const std::vector<std::string>& lines)
{
    const auto missing = missing_lines(lines, sections.live);
    for (; sections.live.size() > 1 && sections.live.back().empty(); sections.live.pop_back())
        sections.rest.insert(0, "\n");
    append(sections.live, missing);
    std::string text;
    for (const auto& line : sections.live) text += line + "\n";
    return text + sections.rest;
}

} // namespace

HardCoded hard_coded_lines(const ContainerSurvey& container)
{
    HardCoded found;
    std::vector<std::string> mounted; // by lines of both kinds
    for (const auto& mount : container.config.mounts) {
        const auto node = parse_gpu_node(mount.source);
        if (!node) continue;
        const bool good = is_replaceable(mount, *node, container);
        (good ? found.lines : found.left)
            .push_back({mount.line, "lxc.mount.entry of " + quote(mount.source)});
        const bool all = node->is_directory();
        const auto paths = all ? nodes_in(mount, *node, container) : std::vector<std::string>{node->path};
        append(mounted, paths);
        if (!good) continue;
        append(found.paths, paths);
        found.directory = found.directory || node->kind == NodeKind::dri;
        if (all || mount.optional) append(found.dispensable, paths);
    }
    if (found.lines.empty() && found.left.empty()) return found;
    const auto mounts = found.lines;
    for (const auto& allow : container.config.allowed) {
        const HardCodedLine line{allow.line, "lxc.cgroup2.devices.allow of " + quote(allow.text)};
        if (!found.left.empty()) {
            if (is_of(allow, mounted, container)) found.left.push_back(line);
        } else if (is_of(allow, mounted, container) && !is_needed(allow, mounts, container)) {
            found.lines.push_back(line);
            found.allowed.push_back(allow);
        }
    }
    std::ranges::sort(found.lines, {}, &HardCodedLine::number);
    std::ranges::sort(found.left, {}, &HardCodedLine::number);
    return found;
}

std::string describe(const std::vector<HardCodedLine>& lines)
{
    std::vector<std::string> texts;
    texts.reserve(lines.size());
    for (const auto& line : lines)
        texts.push_back("line " + std::to_string(line.number) + " (" + line.what + ")");
    return join(texts, ", ");
}

CutText without_lines(std::string_view text, const std::vector<HardCodedLine>& lines)
{
    CutText cut;
    for (LineReader reader(text); reader.next();) {
        if (contains(lines, reader.number(), &HardCodedLine::number))
            cut.lines.emplace_back(reader.line());
        else
            cut.text += std::string(reader.line()) + "\n";
    }
    return cut;
}

std::string without_change(std::string_view now, std::string_view before, std::string_view after)
{
    if (now == after) return std::string(before);
    const auto old_lines = sections_of(before).live, new_lines = sections_of(after).live;
    const auto added = missing_lines(new_lines, old_lines);
    auto sections = sections_of(now);
    std::erase_if(sections.live, [&](const auto& line) { return contains(added, line); });
    return text_with(std::move(sections), missing_lines(old_lines, new_lines));
}

std::string with_lines(std::string_view text, const std::vector<std::string>& lines)
{
    return text_with(sections_of(text), lines);
}

} // namespace pvegpu
