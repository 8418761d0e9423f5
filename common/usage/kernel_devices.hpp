// /proc/devices: which major numbers the drivers have. Those of nvidia-uvm and nvidia-caps are given out
// when the module is loaded, so they differ from one boot to the next.
#pragma once

#include "machine/system.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct KernelDevice {
    unsigned major = 0;
    std::string name; // "nvidia-uvm"

    bool operator==(const KernelDevice&) const = default;
};

class KernelDevices {
public:
    // The character devices of the text; lines that are none are skipped.
    static KernelDevices parse(std::string_view text);

    std::optional<unsigned> major_of(std::string_view name) const;
    std::string name_of(unsigned major) const;    // of the first driver that has it; empty if there is none
    std::optional<unsigned> nvidia_major() const; // the driver has had several names
    const std::vector<KernelDevice>& all() const& { return devices_; }
    const std::vector<KernelDevice>& all() const&& = delete; // it would be gone in a loop over it

private:
    std::vector<KernelDevice> devices_;
};

KernelDevices read_kernel_devices(const SysReader& reader);

} // namespace pvegpu
