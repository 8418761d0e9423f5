// Whether a disk is in use: mounted, swapped to, or part of a RAID, an LVM volume or a ZFS pool.
#pragma once

#include "machine/system.hpp"
#include "usage/device_files.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct Mount {
    DeviceNumber number; // of the block device; of none for file systems that have several
    std::string place;
};

// Of the text of /proc/PID/mountinfo, as proc(5) describes it.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

// The files and devices of the text of /proc/swaps.
std::vector<std::string> parse_swaps(std::string_view swaps);

// One phrase for each use: "'nvme0n1p1' mounted on '/srv'".
std::vector<std::string> users_of_disks(const SysReader& reader, const std::vector<BlockDevice>& devices);

} // namespace pvegpu
