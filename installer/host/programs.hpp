// Every program that the installer runs, and a unit that it enables; those of the hook's are in paths.hpp.
#pragma once

#include "machine/paths.hpp"

#include <array>
#include <string_view>

namespace pvegpu::programs {

inline constexpr std::string_view pct = "/usr/sbin/pct";
inline constexpr std::string_view update_initramfs = "/usr/sbin/update-initramfs";
inline constexpr std::string_view update_grub = "/usr/sbin/update-grub";
inline constexpr std::string_view proxmox_boot_tool = "/usr/sbin/proxmox-boot-tool";

inline constexpr std::array all{paths::hook_program,
                                paths::modprobe_program,
                                paths::nvidia_modprobe_program,
                                paths::qm_program,
                                pct,
                                update_initramfs,
                                update_grub,
                                proxmox_boot_tool,
                                paths::systemctl_program,
                                paths::incus_unit};

} // namespace pvegpu::programs
