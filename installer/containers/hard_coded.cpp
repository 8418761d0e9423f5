#include "containers/hard_coded.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

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

bool is_a_gpus(const LxcAllow& allow, const KernelDevices& majors)
{
    if (allow.everything || allow.block || !allow.major) return false;
    const auto driver = majors.name_of(*allow.major);
    constexpr unsigned nvidia = 195, drm = 226; // devices.txt too
    return *allow.major == nvidia || *allow.major == drm || driver.starts_with("nvidia") || driver == "kfd" ||
           (driver.empty() && is_dynamic(*allow.major));
}

// Proxmox makes a devN at its host's path only, and refuses to start without the node.
bool is_replaceable(const LxcMount& mount, const GpuNode& node, const ContainerSurvey& container)
{
    if (node.path != "/" + mount.target) return false;
    if (node.kind == NodeKind::dri) return true;
    const bool can_be_made =
        container.nvidia_modprobe && nvidia_modprobe_makes(node.kind) && node.kind != NodeKind::nvidia_cap;
    return !node.is_directory() && (container.host_nodes.contains(node.path) || can_be_made);
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
    for (const auto& mount : container.config.mounts) {
        const auto node = parse_gpu_node(mount.source);
        if (!node) continue;
        const bool good = is_replaceable(mount, *node, container);
        (good ? found.lines : found.left)
            .push_back({mount.line, "lxc.mount.entry of " + quote(mount.source)});
        if (good && node->kind != NodeKind::dri) found.paths.push_back(node->path);
        found.directory = found.directory || (good && node->kind == NodeKind::dri);
    }
    if (found.lines.empty() && found.left.empty()) return found;
    for (const auto& allow : container.config.allowed)
        if (is_a_gpus(allow, container.majors))
            (found.left.empty() ? found.lines : found.left)
                .push_back({allow.line, "lxc.cgroup2.devices.allow of " + quote(allow.text)});
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
