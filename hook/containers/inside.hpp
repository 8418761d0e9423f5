// What a running container has of the GPU: its own /dev and its own libraries, seen from the host.
//
// The container may be hostile. Nothing in it is run or opened: directories are listed as it sees them, by a
// child, within a deadline, and no link leads out of it (System::list_inside).
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/lxc_config.hpp"

#include <map>
#include <string>
#include <vector>

namespace pvegpu {

struct InsideNode {
    WantedNode wanted;
    std::optional<DeviceNumber> on_host; // nothing: it is not there, or a directory
    std::optional<DeviceNumber> inside;
    bool as_on_host() const { return on_host == inside; }
};

struct Inside {
    bool seen = false; // false, and the rest but `groups` empty: it does not run, or did not let itself be
                       // looked at in time
    std::vector<InsideNode> nodes;               // those that are no directories
    std::vector<WantedNode> empty;               // directories in which the host has nothing
    std::map<std::string, DeviceNumber> devices; // of its /dev, what belongs to GPUs, by path
    std::vector<std::string> listing;            // of its /dev, what belongs to GPUs: "nvidia0 195:0"
    std::vector<std::string> libraries;        // of NVIDIA's driver: "/usr/lib/.../libnvidia-ml.so.550.90.07"
    std::map<unsigned, std::string> groups;    // its own, by number; empty where they could not be read
    std::vector<std::string> library_versions; // of those, each once: "550.90.07"
};

Inside look_inside(const SysReader& reader, unsigned vmid, const std::vector<WantedNode>& wanted);

// The groups of a container that does not run, whose root lies there on the host.
std::map<unsigned, std::string> groups_below(const SysReader& reader, const std::string& root);

// Nodes that the host has and the running container has not, or with another number: it was started before
// they were made or before its configuration named them, and only a new start gives them to it, whoever
// changed what and whenever that was. "'/dev/nvidia0' (dev0) is 195:0 on the host and missing in the
// container"
std::vector<std::string> restart_reasons(const Inside& inside);

// devN lines that give a node of /dev/dri or /dev/kfd to a group which in the container is another than
// render or video (their numbers differ from one distribution to the next), with the value to write. Pure.
struct WrongGroup {
    LxcDevice device;
    std::string fact, value;
};
std::vector<WrongGroup> wrong_groups(const Inside& inside, const std::vector<LxcDevice>& devices);

// Those whose group says who may open them: on its own number in the container it depends whom that lets in.
std::vector<LxcDevice> devices_of_groups(const std::vector<LxcDevice>& devices);

// The number that the container's group for such a node has in it; nothing where it has none.
std::optional<unsigned> group_for(const Inside& inside, const GpuNode& node);

// NVIDIA's libraries in it, where none is of the kernel module's version.
std::optional<Advice> library_mismatch(const Inside& inside, const std::string& module_version);

// What to tell after a start: both of these, and what its configuration names and the host has not, with the
// container's listing. Empty if all is well. Pure.
std::vector<Advice> inside_warnings(const Inside& inside, const std::string& module_version, unsigned vmid);

inline constexpr auto cannot_inspect = "cannot inspect the container; its device nodes are unverified";

} // namespace pvegpu
