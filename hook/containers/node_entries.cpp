#include "containers/node_entries.hpp"

#include "base/text.hpp"
#include "pci/topology.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace pvegpu {
namespace {

// Lines that allow a number which no driver has: of an earlier boot, most likely.
std::string orphans(const LxcConfig& config, const KernelDevices& majors)
{
    std::string text;
    for (const auto& allow : config.allowed)
        if (!allow.everything && !allow.block && allow.major && majors.name_of(*allow.major).empty())
            text += (text.empty() ? "; no driver has the number of " : ", ") + quote(allow.text) + " (line " +
                    std::to_string(allow.line) + ")";
    return text;
}

// A capability is a token that is held by opening it for reading: the driver makes those of MIG instances
// 0444 (DeviceFileMode below /proc/driver/nvidia/capabilities).
bool may_open(const LxcConfig& config, const FileFacts& rights, bool to_read)
{
    const auto may = [&](mode_t read, mode_t write) {
        const auto bits = to_read ? read : read | write;
        return (rights.mode & bits) == bits;
    };
    return may(S_IROTH, S_IWOTH) || (may(S_IRUSR, S_IWUSR) && config.has_user(rights.owner)) ||
           (may(S_IRGRP, S_IWGRP) && config.has_group(rights.group));
}

bool is_roots(const std::map<unsigned, std::string>& capabilities, unsigned number)
{
    const auto file = capabilities.find(number);
    return file != capabilities.end() && !is_mig_access(file->second);
}

// What to write instead of a mount that nobody may open. Never a capability that is root's on the host.
std::string devices_instead(const GpuNode& node,
                            const std::optional<std::map<unsigned, std::string>>& capabilities)
{
    if (!node.is_directory()) return "write 'devN: " + node.path + "'";
    if (node.kind != NodeKind::nvidia_caps || !capabilities)
        return "write 'devN: " + node.path + "/...' for each node";
    std::string text;
    for (const auto& [number, file] : *capabilities)
        if (is_mig_access(file))
            text += (text.empty() ? "write '" : "', '") + std::string("devN: /dev/nvidia-caps/nvidia-cap") +
                    std::to_string(number);
    return text + "'";
}

} // namespace

std::string named(const WantedNode& wanted)
{
    return "'" + wanted.node.path + "' (" + wanted.from + ")";
}

std::vector<Advice> stale_numbers(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                  const KernelDevices& majors)
{
    std::vector<Advice> stale;
    for (const auto& facts : nodes) {
        const auto& wanted = facts.wanted;
        if (wanted.by_proxmox || !facts.present || !facts.number) continue;
        const auto number = *facts.number;
        const auto covers = [number](const LxcAllow& allow) {
            return allow.covers_character(number.major, number.minor);
        };
        if (std::ranges::any_of(config.allowed, covers)) continue;
        const auto major = std::to_string(number.major);
        stale.push_back({named(wanted) + " has the number " + to_string(number) +
                             " on this host now, and the container may not open it: no "
                             "'lxc.cgroup2.devices.allow' covers it" +
                             orphans(config, majors),
                         "write 'devN: " + wanted.node.path +
                             "' instead of both lines, which follows the number, or 'lxc.cgroup2.devices."
                             "allow: c " +
                             major + ":* rwm'"});
    }
    return stale;
}

std::vector<Advice> foreign_nodes(const LxcConfig& config, const std::vector<NodeFacts>& nodes,
                                  const std::optional<std::map<unsigned, std::string>>& capabilities)
{
    std::vector<Advice> warnings;
    for (const auto& facts : nodes) {
        const auto& node = facts.wanted.node;
        const bool to_read = node.kind == NodeKind::nvidia_cap || node.kind == NodeKind::nvidia_caps;
        if (facts.wanted.by_proxmox || !facts.present || !facts.rights ||
            may_open(config, *facts.rights, to_read))
            continue;
        // Who may divide a GPU, and see all of it, is for the host's root to say: mode 0400 is meant so.
        if (node.kind == NodeKind::nvidia_cap && capabilities && is_roots(*capabilities, *node.number))
            continue;
        warnings.push_back(
            {named(facts.wanted) + " belongs to nobody in the unprivileged container, and the host lets only "
                                   "its owner and group open it: nothing in the container can",
             devices_instead(node, capabilities) + " instead, which belongs to the container's root"});
    }
    return warnings;
}

std::vector<Advice> double_entries(const LxcConfig& config, const std::vector<LxcDevice>& devices)
{
    struct Entry {
        std::string path, name; // in the container; "'dev0' (line 3)"
        bool by_proxmox = false;
    };
    std::vector<Entry> entries;
    for (const auto& mount : config.mounts) {
        const auto target = mount.target.substr(0, mount.target.find_last_not_of('/') + 1);
        entries.push_back({"/" + target, "'lxc.mount.entry' (line " + std::to_string(mount.line) + ")"});
    }
    for (const auto& device : devices)
        if (!device.path.empty())
            entries.push_back(
                {device.path, "'" + device.key + "' (line " + std::to_string(device.line) + ")", true});
    std::vector<Advice> found;
    for (std::size_t second = 0; second < entries.size(); ++second)
        for (std::size_t first = 0; first < second; ++first) {
            const auto& [path, name, by_proxmox] = entries[first];
            const auto& other = entries[second];
            const bool below = !by_proxmox && other.path.starts_with(path + "/");
            if (other.by_proxmox && (other.path == path || below))
                found.push_back({name + " and " + other.name + " both give the container " +
                                     quote(other.path) + ", and Proxmox does not start it then",
                                 "take one of the two out"});
        }
    return found;
}

} // namespace pvegpu
