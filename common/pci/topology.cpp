#include "pci/topology.hpp"

#include "base/enum_names.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {

std::string to_string(const BusNumbers& numbers)
{
    return to_hex(numbers.secondary, 2) + " " + to_hex(numbers.subordinate, 2);
}

std::optional<BusRange> Function::buses() const
{
    return secondary_bus ? std::optional(BusRange{*secondary_bus, subordinate_bus}) : std::nullopt;
}

std::vector<unsigned> bars_without_memory(const Function& function)
{
    std::vector<unsigned> lost;
    if (!function.config || function.config->health != Health::alive) return lost;
    for (unsigned index = 0; index < 6; ++index) {
        const bool exists = (function.config->memory_bars >> index & 1U) != 0;
        const bool placed = std::ranges::any_of(
            function.bars, [&](const Bar& bar) { return bar.index == index && bar.assigned; });
        if (exists && !placed) lost.push_back(index);
    }
    return lost;
}

std::string device_id(const Function& function)
{
    return to_hex(function.vendor, 4) + ":" + to_hex(function.device, 4);
}

std::string subsystem_id(const Function& function)
{
    return to_hex(function.subsystem_vendor, 4) + ":" + to_hex(function.subsystem_device, 4);
}

std::string to_string(Role role)
{
    static constexpr std::array names{EnumName{"gpu", Role::gpu}, EnumName{"companion", Role::companion},
                                      EnumName{"neighbour", Role::neighbour}};
    return name_of(names, role);
}

bool is_gpu(const Function& function)
{
    if (function.bridge) return false; // vfio-pci takes none, whatever class it says
    const auto base = function.class_code >> 16U;
    return base == 0x03 || base == 0x12;
}

std::string class_word(const Function& function)
{
    switch (function.class_code >> 16U) {
    case 0x01:
        return "disk";
    case 0x02:
        return "net";
    case 0x04:
        return "audio";
    case 0x0c:
        return "USB";
    default:
        return is_gpu(function) ? "GPU" : "other";
    }
}

bool is_companion(const Function& function)
{
    const auto sub = function.class_code >> 8U; // with the base class before it
    return sub == 0x0403 || sub == 0x0c03 || sub == 0x0c80 || sub == 0x0c05 || sub >> 8U == 0x07;
}

const Function* Topology::find(const PciAddress& address) const
{
    const auto found = functions.find(address);
    return found == functions.end() ? nullptr : &found->second;
}

const Function* Topology::bridge_above(const Function& function) const
{
    return function.above.empty() ? nullptr : find(function.above.back());
}

std::vector<const Function*> Topology::below(const Function& bridge) const
{
    std::vector<const Function*> result;
    for (const auto& [address, function] : functions)
        if (contains(function.above, bridge.address)) result.push_back(&function);
    return result;
}

std::vector<const Function*> Topology::on_slot_of(const Function& function) const
{
    std::vector<const Function*> result;
    for (const auto& [address, other] : functions)
        if (same_slot(address, function.address)) result.push_back(&other);
    return result;
}

} // namespace pvegpu
