// The value of a hostpciN line: the keys and values that Proxmox's format knows (hostpci_fmt in qemu-server's
// QemuServer/PCI.pm), and the ids it shares with pci.cfg.
#pragma once

#include "proxmox/guest_config.hpp"

#include <string_view>
#include <variant>

namespace pvegpu {

// The device, or a sentence that says why Proxmox drops the line.
std::variant<HostPci, std::string> parse_hostpci(std::string_view value);

// "01:00", "0000:01:00.1": lower-case hex, two digits for bus and slot, one for the function if it is there,
// at least four for the domain if it is there. Slots above 1f and functions above 7 are accepted.
bool is_host_selector(std::string_view text);

// The same, and how long it is at the front of a text; 0 if there is none. The function is left out.
std::size_t length_of_slot_with_domain(std::string_view text);

// pve-configid: a letter, then at least one of letters, digits, '_' and '-'.
bool is_config_id(std::string_view text);

} // namespace pvegpu
