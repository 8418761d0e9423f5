// The lines by which a container was given a GPU before Proxmox had devN: mounts of device nodes, and device
// numbers. What they are, and the configuration without them. Pure.
//
// pct has no word for lxc.* lines ('delete' takes options of its schema only, API2/LXC/Config.pm), so they
// are taken out of the file, as a person would do it with an editor.
#pragma once

#include "host/container_survey.hpp"
#include "machine/paths.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct HardCodedLine {
    unsigned number = 0; // of the file, from 1
    std::string what;    // "lxc.mount.entry of '/dev/nvidia0'"
};

struct HardCoded {
    std::vector<HardCodedLine> lines; // that devN entries can replace, in the order of the file
    std::vector<HardCodedLine> left;  // that they cannot: another path in the container, or no node to name
    std::vector<std::string> paths;   // of the nodes that the replaceable lines give it
    // Of those: without which it starts today, because the mount is optional or is of a directory.
    std::vector<std::string> dispensable;
    bool directory = false;        // all of /dev/dri is mounted
    std::vector<LxcAllow> allowed; // of `lines`
};

// Numbers go only with the last mount: while a line is left, every lxc.cgroup2.devices.allow is. One that
// gives it something besides what the replaceable lines mount stays too.
HardCoded hard_coded_lines(const ContainerSurvey& container);

// "line 4 (lxc.mount.entry of '/dev/nvidia0'), line 2 (...)"
std::string describe(const std::vector<HardCodedLine>& lines);

// The text without these lines, and what they were.
struct CutText {
    std::string text;
    std::vector<std::string> lines;
};
CutText without_lines(std::string_view text, const std::vector<HardCodedLine>& lines);

// The text without what the change from `before` to `after` did to its live section, whatever else was
// changed in it since.
std::string without_change(std::string_view now, std::string_view before, std::string_view after);

// Those of the lines that it has not, at the end of the live section.
std::string with_lines(std::string_view text, const std::vector<std::string>& lines);

} // namespace pvegpu
