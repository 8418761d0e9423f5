// What is wrong with a host's IOMMU, for others than 'check'. Pure.
#pragma once

#include "host/survey.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// What keeps every device from the guests, and what no installation changes: the same that 'check' finds.
std::vector<Advice> iommu_warnings(const HostFacts& host);

// The IOMMU's name in the firmware's setup, on a board for that processor; of no known maker: both names.
std::string firmware_switch(CpuVendor cpu);

} // namespace pvegpu
