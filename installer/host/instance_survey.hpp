// Guests as the survey has them: what they are given, and of VMs of Incus and LXD what they are not.
#pragma once

#include "host/survey.hpp"
#include "proxmox/pci_mapping.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// Notes in the guest what it is given whole: address and key. `all` is every function of the host. Throws as
// resolve_hostpci.
void add_passed(SurveyedGuest& guest, const PciMappings& mappings, const std::string& node,
                const std::vector<PciAddress>& all);

// Nothing of it is known to the installer's record.
SurveyedGuest survey_instance(const SysReader& reader, const Instance& instance, const std::string& node,
                              const std::vector<PciAddress>& all);

// Of its GPUs' cards all but what is no part of a graphics card, and whatever shares an IOMMU group with what
// it is given, or would be.
void find_missing_devices(const SysReader& reader, SurveyedGuest& guest);

} // namespace pvegpu
