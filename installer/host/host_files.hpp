// The texts of the files that the installer writes. Pure.
#pragma once

#include "host/kernel_cmdline.hpp"
#include "host/survey.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// /etc/default/grub.d/pve-gpu-hook.cfg
std::string grub_drop_in_text(const Tokens& tokens);

// /etc/modules-load.d/pve-gpu-hook.conf
std::string modules_load_text();

// /etc/modprobe.d/pve-gpu-hook.conf: vfio-pci before every native driver of these functions, and by id those
// that no other device of the host shares, unless somebody else gives vfio-pci its ids. The softdeps and
// blacklists of the file as it is stay: a driver that is kept away already may not be known any more.
std::string modprobe_text(const std::vector<SurveyedFunction>& functions, bool blacklist,
                          std::string_view now);

// /etc/udev/rules.d/10-pve-gpu-hook.rules: by address (and id) those that cannot go by their ids; empty if
// there is none. initramfs-tools copies the rules of /etc/udev/rules.d (hooks/udev), and udev loads the
// drivers there with 80-drivers.rules. The others are bound by `ids=`: that is the kernel's own, needs no
// udev, and works for a function that is found again before udev hears of it.
std::string udev_rules_text(const std::vector<SurveyedFunction>& functions);

// /etc/initramfs-tools/modules with our marked block at the end, whatever it was before.
std::string with_initramfs_block(std::string_view modules);

// The same without it; what stands around it is kept.
std::string without_initramfs_block(std::string_view modules);

// The native drivers' modules of the GPUs, each once.
std::vector<std::string> gpu_modules(const std::vector<SurveyedFunction>& functions);

} // namespace pvegpu
