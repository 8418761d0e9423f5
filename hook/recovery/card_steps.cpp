#include "recovery/card_steps.hpp"

#include "base/lists.hpp"
#include "pci/device_table.hpp"
#include "recovery/port.hpp"
#include "recovery/vm_facts.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

namespace pvegpu {
namespace {

// The module vendor-reset adds one to AMD cards that a bus reset breaks; the kernel then tries it first.
bool has_device_specific_reset(const CardPlan& card)
{
    return std::ranges::any_of(card.functions, [](const PlannedFunction& one) {
        return one.role == Role::gpu && !one.facts.reset_methods.empty() &&
               one.facts.reset_methods.front() == "device_specific";
    });
}

// Our own write to Bridge Control does not ask the kernel, which knows devices that never come back from a
// bus reset. It lists "bus" for a function 0 without such a quirk; a function beside another has no say.
bool bus_reset_is_known_good(const CardPlan& card)
{
    if (device_traits(card.gpu()).bus_reset == DeviceTraits::BusReset::safe) return true;
    return std::ranges::all_of(card.functions, [](const PlannedFunction& one) {
        return one.address().function != 0 || contains(one.facts.reset_methods, "bus");
    });
}

enum class CardReset { none, reset_subordinate, bridge_control, own_of_gpu };

struct ChosenReset {
    CardReset how = CardReset::none;
    Advice why_none = {};
};

ChosenReset choose_reset(const CardPlan& card, const VmFacts& vm_facts)
{
    const auto& port = vm_facts.topology.at(*card.card.port);
    const auto wish = card.settings.reset_with;
    if (card.settings.strategy == Strategy::remove_rescan) return {CardReset::none, {"the settings say so"}};
    const bool unsafe = device_traits(card.gpu()).bus_reset == DeviceTraits::BusReset::unsafe;
    if (unsafe && has_device_specific_reset(card)) return {CardReset::own_of_gpu};
    if (unsafe) return {CardReset::none, {"this model is known not to come back from a bus reset"}};
    if (wish != ResetWith::bridge_control && port.has_reset_subordinate)
        return {CardReset::reset_subordinate};
    if (wish == ResetWith::reset_subordinate)
        return {CardReset::none,
                {"the settings ask for 'reset_subordinate', which this kernel does not have",
                 "set 'reset_with' to 'best'"}};
    if (!vm_facts.config_space_writable)
        return {CardReset::none,
                {"the kernel is locked down (Secure Boot) and has no 'reset_subordinate'",
                 "install a newer kernel, or turn Secure Boot off"}};
    if (!bus_reset_is_known_good(card))
        return {CardReset::none,
                {"the kernel lists no bus reset for it, and the device table does not know it"}};
    return {CardReset::bridge_control};
}

template <typename OneStep> void on_each(const CardPlan& card, std::vector<Step>& steps)
{
    for (const auto& function : card.functions)
        if (function.in_scope) steps.emplace_back(OneStep{function.address()});
}

void unbind_each(const CardPlan& card, std::vector<Step>& steps)
{
    for (const auto& function : card.functions)
        if (function.in_scope && !function.facts.driver.empty())
            steps.emplace_back(Unbind{function.address()});
}

// The kernel hands out the lowest free IOMMU group number first, so the bus whose group had the lowest comes
// back first; a guest that uses a mapping with a group number will not start with another.
std::vector<PciBus> buses_by_group(const CardPlan& card)
{
    std::map<PciBus, unsigned> lowest;
    for (const auto& function : card.functions) {
        if (!function.in_scope) continue;
        const auto group = function.facts.iommu_group.value_or(std::numeric_limits<unsigned>::max());
        const auto [entry, added] = lowest.emplace(bus_of(function.address()), group);
        entry->second = std::min(entry->second, group);
    }
    std::vector<PciBus> buses;
    buses.reserve(lowest.size());
    for (const auto& [bus, group] : lowest) buses.push_back(bus);
    std::ranges::stable_sort(buses, {}, [&](const PciBus& bus) { return lowest[bus]; });
    return buses;
}

void finish(const CardPlan& card, std::vector<Step>& steps)
{
    for (const auto& function : card.functions)
        if (function.in_scope && function.goes_to_guest) steps.emplace_back(Bind{function.address()});
    on_each<Verify>(card, steps);
}

std::vector<Step> reset_steps(const CardPlan& card, CardReset how)
{
    std::vector<Step> steps;
    if (how == CardReset::reset_subordinate) return {Reset{*card.card.port, ResetBy::reset_subordinate}};
    if (how == CardReset::bridge_control) return {Reset{*card.card.port, ResetBy::bridge_control}};
    if (how == CardReset::none) return steps;
    for (const auto& function : card.functions)
        if (function.role == Role::gpu) steps.emplace_back(Reset{function.address(), ResetBy::function});
    return steps;
}

// The reset comes while every function is still known to the kernel: it then honours its own quirks and puts
// the configuration of a switch on the card back.
std::vector<Step> leaves_first(const CardPlan& card, CardReset how)
{
    std::vector<Step> steps;
    on_each<Wake>(card, steps);
    unbind_each(card, steps);
    append(steps, reset_steps(card, how));
    on_each<Remove>(card, steps);
    for (const auto& bus : buses_by_group(card)) steps.emplace_back(Rescan{bus});
    finish(card, steps);
    return steps;
}

// A switch that is left in place while its bus is reset by hand loses its configuration, so the card goes as
// a whole. A function that is gone has no reset of its own.
std::vector<Step> from_the_top(const CardPlan& card, const VmFacts& vm_facts, CardReset how)
{
    std::vector<Step> steps;
    for (const auto& address : card.card.top) steps.emplace_back(Remove{address});
    if (how != CardReset::own_of_gpu) append(steps, reset_steps(card, how));
    steps.emplace_back(Rescan{*vm_facts.topology.at(*card.card.port).secondary_bus});
    finish(card, steps);
    return steps;
}

// Each time that a card is found again whole the kernel sizes the windows of its bridges anew, and below a
// port that is made for hotplug it shares out what the port has, whatever they need (measured on 6.12: the
// second time there is no room for a BAR, and no rescan changes that; 6.1 and 7.2 do not do it). A port that
// is found itself gets windows as large as they have to be. Nothing but this card is below it, and it is
// clean.
std::vector<Step> with_its_port(const CardPlan& card)
{
    std::vector<Step> steps{Remove{*card.card.port}, Rescan{bus_of(*card.card.port)}};
    finish(card, steps);
    return steps;
}

std::vector<Step> unbound_then_from_the_top(const CardPlan& card, const VmFacts& vm_facts, CardReset how)
{
    std::vector<Step> steps;
    on_each<Wake>(card, steps);
    unbind_each(card, steps);
    append(steps, from_the_top(card, vm_facts, how));
    return steps;
}

// A reset that touches the GPU and nothing else: that of the port directly above it if it is alone there,
// else one of its own. "bus" is not one of its own when it has siblings.
std::optional<Reset> reset_of_gpu_alone(const CardPlan& card, const Function& gpu, const VmFacts& vm_facts)
{
    const auto* above = vm_facts.topology.bridge_above(gpu);
    if (card.settings.strategy == Strategy::remove_rescan || above == nullptr) return std::nullopt;
    if (vm_facts.topology.below(*above).size() == 1 && above->has_reset_subordinate)
        return Reset{above->address, ResetBy::reset_subordinate};
    constexpr std::array<std::string_view, 4> own{"device_specific", "acpi", "flr", "af_flr"};
    const bool has_own = std::ranges::any_of(
        own, [&](std::string_view method) { return contains(gpu.reset_methods, method); });
    if (!has_own) return std::nullopt;
    return Reset{gpu.address, ResetBy::function};
}

CardSteps gpu_alone(const CardPlan& card, const VmFacts& vm_facts)
{
    CardSteps result;
    on_each<Wake>(card, result.first);
    unbind_each(card, result.first);
    for (const auto& function : card.functions) {
        if (!function.in_scope) continue;
        if (const auto step = reset_of_gpu_alone(card, function.facts, vm_facts))
            result.first.emplace_back(*step);
        else
            result.warnings.push_back(
                {quote(function.address()) + " alone cannot be reset", "removing and rescanning only"});
    }
    on_each<Remove>(card, result.first);
    for (const auto& bus : buses_by_group(card)) result.first.emplace_back(Rescan{bus});
    finish(card, result.first);
    return result;
}

} // namespace

CardSteps steps_for(const CardPlan& card, const VmFacts& vm_facts)
{
    if (!std::ranges::all_of(card.functions, &PlannedFunction::in_scope)) return gpu_alone(card, vm_facts);
    const auto chosen = choose_reset(card, vm_facts);
    CardSteps result;
    if (chosen.how == CardReset::none)
        result.warnings.push_back({"the card below " + quote(*card.card.port) + " cannot be reset (" +
                                       chosen.why_none.fact + "); removing and rescanning only",
                                   chosen.why_none.remedy});
    // What is below a bridge without its numbers is out of reach, and a reset of it would be saved and put
    // back by nobody. And a bridge that has its driver already keeps its old windows in its registers,
    // whatever the kernel gives it later (pci_bus_assign_resources in drivers/pci/setup-bus.c).
    const bool lost = std::ranges::any_of(card.functions,
                                          [](const PlannedFunction& one) {
                                              return !bars_without_memory(one.facts).empty();
                                          }) ||
                      std::ranges::any_of(card.card.switches, [&](const PciAddress& bridge) {
                          return has_lost_its_numbers(vm_facts.topology.at(bridge));
                      });
    result.first = chosen.how == CardReset::bridge_control || lost
                       ? unbound_then_from_the_top(card, vm_facts, chosen.how)
                       : leaves_first(card, chosen.how);
    result.whole_card = from_the_top(card, vm_facts, chosen.how);
    result.with_port = with_its_port(card);
    return result;
}

} // namespace pvegpu
