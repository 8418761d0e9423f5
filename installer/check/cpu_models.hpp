// The processor that a guest is shown: the 'cpu' line, and Proxmox's own models behind "custom-NAME". Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace pvegpu {

// cpu-models.conf: by name ("NAME" of "custom-NAME") its settings.
using CpuModels = std::map<std::string, std::map<std::string, std::string>>;
CpuModels parse_cpu_models(std::string_view text);

struct GuestCpu {
    std::string model;          // "host", "x86-64-v2-AES"; of a custom one what it reports
    bool has_phys_bits = false; // the number of address bits is set
};

// Of a 'cpu' line's value. What is missing is Proxmox's default, kvm64 (qemu-server's CPUConfig.pm).
GuestCpu guest_cpu_of(std::string_view setting, const CpuModels& models);

} // namespace pvegpu
