// The lines of a machine file (tests/machine_file.hpp), and a folder of tests/hosts made of them.
#pragma once

#include "machine/system.hpp"

#include <map>
#include <string>
#include <string_view>

namespace pvegpu {

// What stands behind a path: "= text", "-> target", "has file", "node c226:0", "has mode 755".
using MachineFacts = std::map<std::string, std::string>;

std::string fact_of_text(std::string_view text);
std::string fact_of_bytes(std::string_view bytes);
std::string print_machine(const MachineFacts& facts);

// PCI functions, buses, groups and drivers, and what drivers made of them.
MachineFacts device_facts(const SysReader& reader);

// The files of a folder of tests/hosts, text by name: 'machine', 'vm-N.conf' or 'ct-N.conf', 'pci.cfg' and
// 'settings.json'. Of all that the plan of this guest's start and stop and a check read, what shareable.hpp
// lets out. Throws Error where there is no such guest, or no Proxmox.
std::map<std::string, std::string> capture_guest(const SysReader& machine, unsigned vmid);

} // namespace pvegpu
