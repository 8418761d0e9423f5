#include "containers/inside.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/list_inside.hpp"
#include "machine/paths.hpp"
#include "usage/containers.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace pvegpu {
namespace {

// A directory of any size is listed in milliseconds. Longer takes only one that the container serves itself.
constexpr Milliseconds answers_within{3'000};

// Where distributions put NVIDIA's libraries: Debian and Ubuntu, Fedora and SUSE, Arch, containers of NVIDIA.
constexpr std::array<std::string_view, 5> library_directories{
    "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib64", "/usr/lib",
    "/usr/local/nvidia/lib64"};

// Every driver of NVIDIA comes with this one, and nvidia-smi needs it.
constexpr std::string_view library = "libnvidia-ml.so.";

class Look {
public:
    Look(const SysReader& reader, std::string root) : reader_(reader), root_(std::move(root)) {}

    // Of a path in the container: the number of a character device there.
    std::optional<DeviceNumber> number_of(const std::string& path)
    {
        const auto slash = path.rfind('/');
        const auto name = path.substr(slash + 1);
        for (const auto& entry : entries_of(path.substr(0, slash), ""))
            if (entry.name == name && (entry.kind == 'c' || entry.kind == 'b')) return entry.number;
        return std::nullopt;
    }

    const std::vector<InsideEntry>& entries_of(const std::string& directory, std::string_view prefix)
    {
        const auto [known, is_new] = listings_.try_emplace(directory);
        if (!is_new || hangs_) return known->second;
        const auto outcome = reader_.list_inside(root_, directory, std::string(prefix), answers_within);
        hangs_ = outcome.still_running();
        known->second = parse_inside(outcome.text);
        return known->second;
    }

    // A file of text, where no link is on the way to it. Of one that is swapped for a link at that moment we
    // would read another file, and use no more of it than lines like a group's.
    std::string text_of(const std::string& directory, const std::string& name)
    {
        const auto kind_in = [&](const std::string& parent, const std::string& entry) {
            const auto& entries = entries_of(parent, entry);
            const auto* found =
                find_where(entries, [&](const InsideEntry& one) { return one.name == entry; });
            return found == nullptr ? 'l' : found->kind;
        };
        constexpr std::size_t most = 65536;
        if (kind_in("/", directory) == 'l' || kind_in("/" + directory, name) != '-' || hangs_) return "";
        const auto outcome = reader_.read_within(root_ + "/" + directory + "/" + name, most, answers_within);
        hangs_ = outcome.still_running();
        return outcome.done() ? outcome.text : "";
    }

    bool hangs() const { return hangs_; } // then nothing more is asked

private:
    const SysReader& reader_;
    std::string root_;
    std::map<std::string, std::vector<InsideEntry>> listings_; // by directory
    bool hangs_ = false;
};

void find_devices(Look& look, Inside& inside)
{
    for (const std::string directory : {"/dev", "/dev/dri", "/dev/nvidia-caps"})
        for (const auto& entry : look.entries_of(directory, "")) {
            const auto path = paths::join(directory, entry.name);
            const auto node = parse_gpu_node(path);
            if (!node || (node->is_directory() && entry.kind == 'd')) continue;
            const bool device = entry.kind == 'c' || entry.kind == 'b';
            if (device) inside.devices[path] = entry.number;
            inside.listing.push_back(path.substr(std::string(paths::dev).size() + 1) +
                                     (device ? " " + to_string(entry.number) : " (no device)"));
        }
}

// "libnvidia-ml.so.550.90.07" -> "550.90.07"; empty for "libnvidia-ml.so.1"
std::string library_version(std::string_view name)
{
    const auto start = name.find(".so.");
    if (start == std::string_view::npos) return "";
    const auto version = name.substr(start + 4);
    const bool numbers = consists_of(version, [](char c) { return is_digit(c) || c == '.'; }) &&
                         !version.empty() && is_digit(version.front()) && is_digit(version.back());
    return numbers && version.find('.') != std::string_view::npos ? std::string(version) : "";
}

void find_libraries(Look& look, Inside& inside)
{
    std::set<std::string> versions;
    for (const auto directory : library_directories)
        for (const auto& entry : look.entries_of(std::string(directory), library)) {
            const auto version = library_version(entry.name);
            if (version.empty()) continue;
            inside.libraries.push_back(paths::join(directory, entry.name));
            versions.insert(version);
        }
    inside.library_versions.assign(versions.begin(), versions.end());
}

bool is_of_a_group(const GpuNode& node)
{
    return node.kind == NodeKind::dri_card || node.kind == NodeKind::dri_render ||
           node.kind == NodeKind::dri_by_path || node.kind == NodeKind::kfd;
}

// "render:x:993:jellyfin"
std::map<unsigned, std::string> parse_groups(std::string_view text)
{
    std::map<unsigned, std::string> groups;
    for (LineReader lines(text); lines.next();) {
        const auto parts = split(lines.line(), ':');
        const auto number = parts.size() < 3 ? std::nullopt : parse_decimal(parts[2]);
        if (number && !parts[0].empty()) groups.try_emplace(*number, parts[0]);
    }
    return groups;
}

} // namespace

Inside look_inside(const SysReader& reader, unsigned vmid, const std::vector<WantedNode>& wanted)
{
    Inside inside;
    const auto init = container_init(reader, vmid);
    if (!init) return inside;
    Look look(reader, paths::process(*init, "root"));
    for (const auto& one : wanted)
        if (one.node.is_directory()) {
            if (reader.list(one.node.path).empty()) inside.empty.push_back(one);
        } else {
            inside.nodes.push_back({one, reader.device_number(one.node.path), look.number_of(one.in_guest)});
        }
    find_devices(look, inside);
    if (std::ranges::any_of(wanted, [](const auto& one) { return one.node.is_nvidia(); }))
        find_libraries(look, inside);
    if (std::ranges::any_of(wanted, [](const auto& one) { return is_of_a_group(one.node); }))
        inside.groups = parse_groups(look.text_of("etc", "group"));
    // What was seen is worth nothing if the container hangs, or ended meanwhile and another one has its pid.
    if (look.hangs() || container_init(reader, vmid) != init) return {};
    inside.seen = true;
    return inside;
}

std::map<unsigned, std::string> groups_below(const SysReader& reader, const std::string& root)
{
    return parse_groups(Look(reader, root).text_of("etc", "group"));
}

std::vector<std::string> restart_reasons(const Inside& inside)
{
    std::vector<std::string> reasons;
    for (const auto& node : inside.nodes)
        if (node.on_host && !node.as_on_host())
            reasons.push_back("'" + node.wanted.node.path + "' (" + node.wanted.from + ") is " +
                              to_string(*node.on_host) + " on the host and " +
                              (node.inside ? to_string(*node.inside) : "missing") + " in the container");
    return reasons;
}

std::optional<unsigned> group_for(const Inside& inside, const GpuNode& node)
{
    const bool card = node.kind == NodeKind::dri_card || node.path.ends_with("-card");
    const std::array<std::string_view, 2> names{card ? "video" : "render", card ? "render" : "video"};
    for (const auto name : names)
        for (const auto& [number, group] : inside.groups)
            if (group == name) return number;
    return std::nullopt;
}

std::vector<LxcDevice> devices_of_groups(const std::vector<LxcDevice>& devices)
{
    std::vector<LxcDevice> of_groups;
    for (const auto& device : devices) {
        const auto node = parse_gpu_node(device.path);
        if (node && is_of_a_group(*node) && device.number("gid").value_or(0) != 0 && !device.is_everybodys())
            of_groups.push_back(device);
    }
    return of_groups;
}

std::vector<WrongGroup> wrong_groups(const Inside& inside, const std::vector<LxcDevice>& devices)
{
    std::vector<WrongGroup> wrong;
    if (inside.groups.empty()) return wrong;
    for (const auto& device : devices_of_groups(devices)) {
        const auto node = parse_gpu_node(device.path);
        const auto number = device.number("gid");
        const auto group = inside.groups.find(*number);
        if (group != inside.groups.end() && (group->second == "render" || group->second == "video")) continue;
        const auto right = group_for(inside, *node);
        const auto gid = "'gid=" + std::to_string(*number) + "' of '" + device.key + "' is ";
        const auto is = group == inside.groups.end()
                            ? "no group's in the container"
                            : "the group " + quote(group->second) + " in the container";
        wrong.push_back(
            {device,
             gid + is +
                 (right ? ", where " + quote(inside.groups.at(*right)) + " is " + std::to_string(*right)
                        : ", which has neither 'render' nor 'video'"),
             right ? device.value_with("gid", std::to_string(*right)) : device.value_with("mode", "0666")});
    }
    return wrong;
}

std::optional<Advice> library_mismatch(const Inside& inside, const std::string& module_version)
{
    const auto& versions = inside.library_versions;
    if (module_version.empty() || versions.empty() || contains(versions, module_version)) return std::nullopt;
    return Advice{"the container's NVIDIA libraries are of version " + printable(join(versions, ", "), 80) +
                      " (" + quote(inside.libraries.front()) + ") and the host's module is of version " +
                      printable(module_version) +
                      ": nothing of NVIDIA's runs in the container until they are equal",
                  "install version " + printable(module_version) + " in it, without the kernel module"};
}

std::vector<Advice> inside_warnings(const Inside& inside, const std::string& module_version, unsigned vmid)
{
    std::vector<Advice> warnings;
    std::vector<std::string> missing;
    for (const auto& node : inside.nodes)
        if (!node.on_host)
            missing.push_back(quote(node.wanted.node.path) + " (" + node.wanted.from +
                              (node.inside ? ", " + to_string(*node.inside) + " in the container)" : ")"));
    for (const auto& one : inside.empty)
        missing.push_back("anything in " + quote(one.node.path) + " (" + one.from + ")");
    if (!missing.empty())
        warnings.push_back(
            {"the host does not have " + join(missing, ", ") + ", which the container's configuration names",
             "'pve-gpu-install check --ct " + std::to_string(vmid) + "' says why"});
    for (const auto& reason : restart_reasons(inside)) warnings.push_back({reason, "restart the container"});
    if (auto mismatch = library_mismatch(inside, module_version)) warnings.push_back(std::move(*mismatch));
    if (!warnings.empty())
        warnings.push_back({"container: /dev has " + (inside.listing.empty()
                                                          ? "no device node of a GPU"
                                                          : printable(join(inside.listing, ", "), 2000))});
    return warnings;
}

} // namespace pvegpu
