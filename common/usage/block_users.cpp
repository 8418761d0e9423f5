#include "usage/block_users.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu {
namespace {

// The kernel writes a blank, a tab, a line end and a backslash in these files as \040, \011, \012 and \134
// (mangle_path in fs/seq_file.c).
std::string unescaped(std::string_view text)
{
    const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
    std::string result;
    while (!text.empty()) {
        const bool escape = text.size() >= 4 && text[0] == '\\' && consists_of(text.substr(1, 3), is_octal);
        const auto value = escape ? (text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0') : text[0];
        result += static_cast<char>(value);
        text.remove_prefix(escape ? 4 : 1);
    }
    return result;
}

// cciss!c0d0 of sysfs is /dev/cciss/c0d0
std::string node_of(const BlockDevice& device)
{
    auto name = device.name;
    std::ranges::replace(name, '!', '/');
    return paths::join(paths::dev, name);
}

// ZFS, btrfs on several disks, a mount in a container's own view: they all claim the disk for themselves. The
// claim of a partition is one of the whole disk too (bd_may_claim in the kernel's block/bdev.c).
void add_claim(const SysReader& reader, const BlockDevice& device, std::vector<std::string>& users)
{
    const auto node = node_of(device);
    if (device.partition || reader.device_number(node) != device.number) return;
    const auto outcome = reader.try_claim_within(node, driver_answers_within);
    if (outcome.still_running()) users.push_back(quote(device.name) + ", which does not answer");
    if (outcome.refused() && outcome.error_number == EBUSY)
        users.push_back(quote(device.name) + " claimed by a file system, a pool or a program");
}

} // namespace

std::vector<Mount> parse_mounts(std::string_view mountinfo)
{
    std::vector<Mount> mounts;
    for (LineReader lines(mountinfo); lines.next();) {
        const auto fields = split(lines.line(), ' ');
        if (fields.size() < 5) continue;
        if (const auto number = parse_device_number(fields[2], true))
            mounts.push_back({*number, unescaped(fields[4])});
    }
    return mounts;
}

std::vector<std::string> parse_swaps(std::string_view swaps)
{
    std::vector<std::string> names;
    for (LineReader lines(swaps); lines.next();) // the first line is a heading
        if (lines.line().starts_with('/'))
            names.push_back(unescaped(lines.line().substr(0, lines.line().find_first_of(" \t"))));
    return names;
}

std::vector<std::string> users_of_disks(const SysReader& reader, const std::vector<BlockDevice>& devices)
{
    std::vector<std::string> users;
    if (devices.empty()) return users;
    const auto mounts = parse_mounts(reader.read(std::string(paths::mount_table)).value_or(""));
    const auto swaps = parse_swaps(reader.read(std::string(paths::proc_swaps)).value_or(""));
    for (const auto& device : devices) {
        const auto* mount = find_by(mounts, device.number, &Mount::number); // bind mounts of it add nothing
        if (mount != nullptr) users.push_back(quote(device.name) + " mounted on " + quote(mount->place));
        for (const auto& swap : swaps)
            if (reader.device_number(swap) == device.number)
                users.push_back(quote(device.name) + " used for swapping");
        for (const auto& name : device.used_by)
            users.push_back(quote(device.name) + " used by " + quote(name));
    }
    if (!users.empty()) return users;
    for (const auto& device : devices) add_claim(reader, device, users);
    return users;
}

} // namespace pvegpu
