// Which processes have device nodes open, and what /proc says of one.
#pragma once

#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace pvegpu {

struct OpenNode {
    pid_t pid = 0;
    DeviceNumber number;
    std::string path; // as the process opened it, in its own view of the file system
};

// One pass over all processes but our own, those in containers included: a device number is the same
// everywhere. Files that cannot be looked at without waiting are left out.
std::vector<OpenNode> find_open_nodes(const SysReader& reader, std::vector<DeviceNumber> wanted);

struct OpenVfioDevice {
    pid_t pid = 0;
    PciAddress function;
};

// Processes that were handed a vfio device without its group. Only kernels from 6.18 on tell which one it is.
std::vector<OpenVfioDevice> find_open_vfio_devices(const SysReader& reader);

std::string program_of(const SysReader& reader, pid_t pid);          // /proc/PID/comm
std::optional<unsigned> vmid_of(const SysReader& reader, pid_t pid); // of a VM of Proxmox

// /proc/PID/stat, as proc(5) describes it.
struct ProcStat {
    pid_t pid = 0;
    std::string program;          // up to 15 characters, whatever the program likes: "tmux: server", "a) R 1"
    char state = '?';             // field 3: R running, S sleeping, D waiting uninterruptibly, Z zombie
    pid_t parent = 0;             // field 4
    std::uint64_t start_time = 0; // field 22, clock ticks after boot: tells apart two users of one pid
};

// "329 (task UPID:pve:0) S 274 0 0 0 -1 4194368 25 0 0 0 0 0 0 0 20 0 1 0 432 2314240 242 ..."; nothing for
// text that is not like this.
std::optional<ProcStat> parse_proc_stat(std::string_view text);

} // namespace pvegpu
