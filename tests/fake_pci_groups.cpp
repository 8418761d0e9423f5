// The IOMMU groups of the fake machine.
#include "fake_pci.hpp"

#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu::testing {

std::string FakePci::group(const PciAddress& address) const
{
    const auto* link = tree_.find_unfollowed(paths::function(address, "iommu_group"));
    return link == nullptr ? "" : base_name(link->text);
}

void FakePci::set_group(unsigned group, const std::vector<std::string>& addresses)
{
    for (const auto& address : addresses) {
        leave_group(address_of(address));
        join_group(address_of(address), group);
    }
    freed_groups_.clear(); // groups that a test leaves empty while it builds were never there
}

void FakePci::join_group(const PciAddress& address, unsigned group)
{
    next_group_ = std::max(next_group_, group + 1);
    freed_groups_.erase(group);
    const auto directory = paths::join(paths::iommu_groups, std::to_string(group));
    tree_.set_sysfs_link(paths::function(address, "iommu_group"), directory);
    tree_.set_sysfs_link(paths::join(paths::iommu_group_members(group), to_string(address)),
                         this->directory(address));
}

void FakePci::leave_group(const PciAddress& address)
{
    const auto number = group(address);
    if (number.empty()) return;
    const auto members = paths::iommu_group_members(static_cast<unsigned>(std::stoul(number)));
    tree_.erase(paths::function(address, "iommu_group"));
    tree_.erase(paths::join(members, to_string(address)));
    if (!tree_.list(members).empty()) return;
    tree_.erase(directory_of(members));
    freed_groups_.insert(static_cast<unsigned>(std::stoul(number)));
}

// A group lives as long as it has a member; a new one gets the lowest number that is free (ida_alloc in the
// kernel's iommu_group_alloc). Only numbers that a removal freed count as free here.
unsigned FakePci::group_after_return(const PciAddress& address, const Shelved& shelved)
{
    if (const auto& other = returns_[address].group_of; other)
        return static_cast<unsigned>(std::stoul(group(address_of(*other))));
    for (const auto& mate : shelved.mates)
        if (const auto number = group(mate); !number.empty())
            return static_cast<unsigned>(std::stoul(number));
    return freed_groups_.empty() ? next_group_ : *freed_groups_.begin();
}

void FakePci::rejoin_group(const PciAddress& address, const Shelved& shelved)
{
    tree_.erase(paths::function(address, "iommu_group"));
    if (!shelved.group.empty()) join_group(address, group_after_return(address, shelved));
}

} // namespace pvegpu::testing
