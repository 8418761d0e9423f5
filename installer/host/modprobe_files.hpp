// The files of modprobe.d of this machine.
#pragma once

#include "host/modprobe_config.hpp"
#include "machine/system.hpp"

#include <vector>

namespace pvegpu {

// The lines of every file that counts, in the order in which kmod joins them: of options given more than once
// the kernel takes the last. Files that cannot be read are left out.
std::vector<ModprobeLine> read_modprobe(const SysReader& reader);

} // namespace pvegpu
