// A guest whose hookscript is ours, as the manifest has it.
#pragma once

#include "base/pci_address.hpp"

#include <map>
#include <string>
#include <vector>

namespace pvegpu {

struct Attachment {
    unsigned vmid = 0;
    std::string volume;                    // ours: "local:snippets/pve-gpu-hook"
    std::string old_volume;                // empty if it had none
    std::vector<std::string> devices = {}; // that a container was given: "dev0=/dev/nvidia0,mode=0666"
    std::vector<std::string> lines = {};   // that were taken out of its configuration for them

    std::map<std::string, PciAddress> owners = {}; // of the nodes that it names by devN, by path

    bool operator==(const Attachment&) const = default;
};

} // namespace pvegpu
