// The value of a hostpciN line: the keys and values that Proxmox's format knows (hostpci_fmt in qemu-server's
// QemuServer/PCI.pm), and the names of mappings.
#pragma once

#include "proxmox/guest_config.hpp"

#include <string_view>
#include <variant>

namespace pvegpu {

// The device, or a sentence that says why Proxmox drops the line.
std::variant<HostPci, std::string> parse_hostpci(std::string_view value, const QemuServer& server = {});

// pve-configid: a letter, then at least one of letters, digits, '_' and '-'.
bool is_config_id(std::string_view text);

} // namespace pvegpu
