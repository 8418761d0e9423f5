// Prints what a parser has read, so that the targets can show that it reads the same again. The product never
// writes these files, so its printers are here.
#pragma once

#include "proxmox/config_lines.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/pci_mapping.hpp"
#include "proxmox/storage_config.hpp"
#include "settings/settings.hpp"
#include "usage/block_users.hpp"
#include "usage/reservations.hpp"

#include <string>
#include <vector>

namespace pvegpu::fuzz {

std::string print(const Properties& properties);
std::string print(const HostPci& device); // the value of its line
std::string print(const GuestConfig& config);
std::string print(const PciMapping& mapping);
std::string print(const std::vector<Reservation>& reservations);
std::string print(const Settings& settings);
std::string print(const std::vector<Storage>& storages);
std::string print_mounts(const std::vector<Mount>& mounts);
std::string print_swaps(const std::vector<std::string>& swaps);

// All but the lines and the warnings.
bool same(const HostPci& one, const HostPci& other);
bool same(const GuestConfig& one, const GuestConfig& other);
bool same(const PciMapping& one, const PciMapping& other);
bool same(const Settings& one, const Settings& other);
bool same(const Storage& one, const Storage& other);

} // namespace pvegpu::fuzz
