// The ASPM switches of a device's link. While the kernel's policy saves power it turns a link's states on
// when a driver enables the device, and not when it finds it (pcie_aspm_init_link_state and
// pcie_aspm_powersave_config_link in drivers/pci/pcie/aspm.c; measured on 6.12): until then each switch says
// 0, whatever somebody has chosen, and what was chosen before the device was removed is only kept if it is
// written again.
#pragma once

#include "machine/system.hpp"

#include <string_view>

namespace pvegpu {

bool is_link_switch(std::string_view path);

// True while that is the kernel's policy.
bool links_wait_for_a_driver(const SysReader& reader);

// Whether the file of sysfs says `text`, and means it.
bool says(const SysReader& reader, const std::string& path, std::string_view text);

} // namespace pvegpu
