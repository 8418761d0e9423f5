// What a VM's `args` line hands to QEMU past Proxmox. Pure.
#pragma once

#include "base/pci_address.hpp"
#include "base/shell_quote.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// Those of args_words (proxmox/vm_args.hpp).
std::vector<std::string> shell_words(std::string_view text);

struct ArgsDevice {
    PciAddress address;
    std::vector<std::string> options; // "x-vga=on", without driver and host
    std::size_t word = 0;             // of "-device"; the next one is its value
};

// `-device vfio-pci,host=...`, `sysfsdev=/sys/bus/pci/devices/...`, or the same as JSON.
std::vector<ArgsDevice> devices_in_args(const std::vector<std::string>& words);
std::vector<PciAddress> passed_by_args(std::string_view args);

} // namespace pvegpu
