#include "pci/function_json.hpp"

#include "base/text.hpp"
#include "pci/cards.hpp"

namespace pvegpu {

Json function_json(const Function& function, const std::string& hostpci)
{
    return {{"address", function.address},
            {"id", device_id(function)},
            {"class", "0x" + to_hex(function.class_code, 6)},
            {"role", to_string(role_of(function))},
            {"hostpci", or_null(hostpci)},
            {"driver", or_null(function.driver)},
            {"iommu_group", function.iommu_group ? Json(function.group_members) : Json(nullptr)},
            {"flr", function.flr()},
            {"reset_methods", function.reset_methods}};
}

} // namespace pvegpu
