// Whether the host still has to be rebooted, and whether that helps. Pure.
#pragma once

#include "host/survey.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// Spares the host's own devices the translation. Passthrough works without it, so no reboot is asked for.
inline constexpr std::string_view faster_only = "iommu=pt";

// What is not yet as the files want it, each with what a reboot is to do about it. The order in which modules
// were loaded counts, whoever has the card now: Proxmox leaves it on vfio-pci after a VM's first start, and
// the native driver takes it again when the hook finds it anew. `changed`: the files are newer than the boot.
struct Unprepared {
    std::string what, hope;
};
std::vector<Unprepared> unprepared(const Survey& survey, bool changed);

// If it has booted with these very files, the next boot does the same again; whoever reboots by program would
// do so for ever. `changes_now`: files that the next boot reads are about to be changed.
bool reboot_helps(const Survey& survey, bool changes_now);

// Of `unprepared`, where a reboot helps: sentences.
std::vector<std::string> reboot_reasons(const Survey& survey, bool changes_now);

} // namespace pvegpu
