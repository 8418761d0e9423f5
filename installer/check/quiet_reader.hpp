// A reader that never wakes a device. A file of sysfs that the kernel fills by reading the device's
// configuration space resumes the bridge above it, and the device itself from D3cold
// (pci_config_pm_runtime_get in drivers/pci/pci.c; from Linux 6.18 on for the link's files and a bridge's bus
// numbers too). Such a file is absent here while the device is in D3cold or a bridge above it sleeps. What
// falls asleep between the look and the read is woken: sysfs offers no way to do both at once.
//
// What was read once is remembered: several parts of a check ask for the same files, and all of them shall
// see one state of the host. So it serves one look and not for waiting.
#pragma once

#include "base/pci_address.hpp"
#include "machine/forwarding_system.hpp"

#include <map>
#include <utility>

namespace pvegpu {

class QuietReader : public ForwardingReader<SysReader> {
public:
    using ForwardingReader::ForwardingReader;

    // Whether reading its configuration space would wake it or a bridge above it. False for one that is gone.
    bool asleep(const PciAddress& address) const;

    std::optional<std::string> read(const std::string& path) const override;
    std::optional<std::string> read_link(const std::string& path) const override;
    std::vector<std::string> list(const std::string& path) const override;
    std::vector<std::string> list_directories(const std::string& path) const override;
    // Refused with EHOSTDOWN for a sleeping device.
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override;
    // Refused: opening a disk would wake it, and nobody who only looks has to.
    SysResult try_claim_within(const std::string& path, Milliseconds timeout) const override;

private:
    bool would_wake(const std::string& path) const; // whichever way it leads to the function's directory
    bool would_wake_port_of(const std::string& slot, std::string_view file) const;
    bool sleeps(const PciAddress& address, bool itself) const;

    mutable std::map<PciAddress, bool> asleep_;
    mutable std::map<std::string, std::optional<std::string>> texts_, links_;
    mutable std::map<std::string, std::vector<std::string>> lists_, directories_;
    mutable std::map<std::pair<std::string, std::size_t>, SysResult> slow_; // by path and most bytes
};

} // namespace pvegpu
