// A host and one of its guests in a folder of tests/hosts, as 'pve-gpu-install capture --guest N' writes it:
//   machine                     what there is of the host (machine_file.hpp). Its first line, a comment, says
//                               what the folder shows; "like NAME" stands for that other folder's machine,
//                               of which the lines below are the difference
//   vm-101.conf or ct-901.conf  the guest that is started
//   pci.cfg, settings.json      if there are any
//   install                     options of pve-gpu-install, where the folder shows what it would change
#pragma once

#include "fake_system.hpp"

#include <map>
#include <string>
#include <vector>

namespace pvegpu::testing {

inline const std::string hosts_directory = TESTS_DIR "/hosts/";

std::vector<std::string> host_names(); // sorted

using HostFiles = std::map<std::string, std::string>; // text by name

HostFiles read_host_folder(const std::string& folder);

void load_host(FakeSystem& system, const HostFiles& files);

// Throws std::runtime_error where there is no guest, or more than one.
unsigned guest_of(const HostFiles& files);

} // namespace pvegpu::testing
