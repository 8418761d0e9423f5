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

bool can_be_made(const GpuNode& node, const ContainerSurvey& container)
{
    const bool makes = node.is_nvidia() && node.kind != NodeKind::nvidia_cap &&
                       node.kind != NodeKind::nvidia_caps && node.kind != NodeKind::nvidia_other;
    return makes && container.nvidia_modprobe;
}

// Proxmox makes a devN at its host's path only, and refuses to start without the node.
bool is_replaceable(const LxcMount& mount, const GpuNode& node, const ContainerSurvey& container)
{
    if (node.path != "/" + mount.target) return false;
    if (node.kind == NodeKind::dri) return true;
    return !node.is_directory() && (container.host_nodes.contains(node.path) || can_be_made(node, container));
}

void sort_by_number(std::vector<HardCodedLine>& lines)
{
    std::ranges::sort(lines, [](const auto& one, const auto& other) { return one.number < other.number; });
}

// Of the live section: snapshots and what is pending begin with a bracket.
std::vector<std::string> live_lines(std::string_view text)
{
    std::vector<std::string> lines;
    for (LineReader reader(text); reader.next() && !reader.line().starts_with('[');)
        lines.emplace_back(reader.line());
    return lines;
}

std::vector<std::string> missing_lines(const std::vector<std::string>& all,
                                       const std::vector<std::string>& in)
{
    std::vector<std::string> missing;
    for (const auto& line : all)
        if (!is_blank(line) && !contains(in, line)) missing.push_back(line);
    return missing;
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
    sort_by_number(found.lines);
    sort_by_number(found.left);
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
        const bool goes =
            std::ranges::any_of(lines, [&](const auto& line) { return line.number == reader.number(); });
        if (goes)
            cut.lines.emplace_back(reader.line());
        else
            cut.text += std::string(reader.line()) + "\n";
    }
    return cut;
}

std::string without_change(std::string_view now, std::string_view before, std::string_view after)
{
    if (now == after) return std::string(before);
    const auto old_lines = live_lines(before), new_lines = live_lines(after);
    const auto added = missing_lines(new_lines, old_lines);
    std::vector<HardCodedLine> ours;
    bool live = true;
    for (LineReader reader(now); reader.next();) {
        live = live && !reader.line().starts_with('[');
        if (live && contains(added, reader.line())) ours.push_back({reader.number(), ""});
    }
    return with_lines(without_lines(now, ours).text, missing_lines(old_lines, new_lines));
}

std::string with_lines(std::string_view text, const std::vector<std::string>& lines)
{
    std::string live, rest; // snapshots and what is pending begin with a bracket
    std::vector<std::string_view> known;
    for (LineReader reader(text); reader.next();) {
        const bool is_live = rest.empty() && !reader.line().starts_with('[');
        (is_live ? live : rest) += std::string(reader.line()) + "\n";
        if (is_live) known.push_back(reader.line());
    }
    for (; live.ends_with("\n\n"); live.pop_back()) rest.insert(0, "\n");
    for (const auto& line : lines)
        if (!contains(known, line)) live += line + "\n";
    return live + rest;
}

} // namespace pvegpu
