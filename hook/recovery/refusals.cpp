#include "recovery/refusals.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "recovery/absent.hpp"
#include "recovery/port.hpp"
#include "recovery/vm_facts.hpp"

#include <algorithm>
#include <map>

namespace pvegpu {
namespace {

// What another use of a function means for the start.
enum class Weight { none, warning, refusal };

bool is_on_a_card(const RecoveryPlan& plan, const PciAddress& address)
{
    return std::ranges::any_of(plan.cards,
                               [&](const CardPlan& card) { return card.find(address) != nullptr; });
}

bool is_cycled(const RecoveryPlan& plan, const PciAddress& address)
{
    return std::ranges::any_of(plan.cards, [&](const CardPlan& card) {
        const auto* function = card.find(address);
        return function != nullptr && card.is_cycled() && function->in_scope;
    });
}

bool is_another_guests(const Holder& holder)
{
    return holder.kind == Holder::Kind::vfio || holder.kind == Holder::Kind::reservation ||
           holder.kind == Holder::Kind::claim;
}

// Of a function that the guest names. What is plugged into a USB controller it wants, a program lets go of a
// device that is taken from it, and an interface that nobody uses is none's loss; the GPU's card is reset, so
// there a program counts.
Weight weight_of_named(const Holder& holder, bool on_a_card)
{
    switch (holder.kind) {
    case Holder::Kind::process:
        return on_a_card ? Weight::refusal : Weight::warning;
    case Holder::Kind::usb:
        return on_a_card ? Weight::none : Weight::warning;
    case Holder::Kind::idle_network:
        return Weight::warning;
    default:
        return Weight::refusal;
    }
}

Weight weight_of(const VmFacts& vm_facts, const RecoveryPlan& plan, const Holder& holder)
{
    const auto& address = holder.function;
    auto weight = Weight::refusal; // of what goes along without being named
    if (!vm_facts.virtual_functions.contains(address) && !vm_facts.behind.contains(address)) {
        const auto* device = device_of(vm_facts.devices, address);
        if (device != nullptr && !device->passed_whole()) // shared: another guest must not have it whole
            weight = is_another_guests(holder) ? Weight::refusal : Weight::none;
        else if (!vm_facts.taken.contains(address))
            weight = Weight::none;
        else if (device != nullptr)
            weight = weight_of_named(holder, is_on_a_card(plan, address));
    }
    const bool told_to_go_on = plan.settings.in_use == InUse::warn && !is_cycled(plan, address);
    return weight == Weight::refusal && told_to_go_on ? Weight::warning : weight;
}

// How Proxmox comes to take a function that is in use: by the guest's own word, or along with another.
std::string in_use_fact(const VmFacts& vm_facts, const Holder& holder)
{
    const auto name = quote(holder.function);
    const auto used = "is in use by " + describe(holder);
    if (const auto parent = vm_facts.virtual_functions.find(holder.function);
        parent != vm_facts.virtual_functions.end())
        return name + ", a virtual function of " + quote(parent->second) + " that goes with it, " + used;
    if (const auto controller = vm_facts.behind.find(holder.function); controller != vm_facts.behind.end())
        return name + ", behind " + quote(controller->second) + " and gone with it, " + used;
    if (!key_of(vm_facts.devices, holder.function).empty()) return name + " " + used;
    return name + ", which goes along because it shares an IOMMU group with the guest's devices, " + used;
}

Advice in_use_advice(const VmFacts& vm_facts, const RecoveryPlan& plan, const Holder& holder)
{
    const bool named = !key_of(vm_facts.devices, holder.function).empty();
    auto remedy = named || is_another_guests(holder) ? in_use_message(holder).remedy
                                                     : std::string("end that use, or take the device with "
                                                                   "which it is taken out of the guest's "
                                                                   "devices");
    // What another guest has Proxmox itself refuses to give by name.
    if (!is_cycled(plan, holder.function) && !(named && is_another_guests(holder)))
        remedy +=
            R"(; "in_use": "warn" for this guest in )" + quote(paths::settings) + " starts it all the same";
    return {in_use_fact(vm_facts, holder), std::move(remedy)};
}

std::optional<Refusal> refuse_unknown_device(const VmFacts& vm_facts, const RecoveryPlan& plan)
{
    if (!vm_facts.search.empty() || !plan.cycles_something())
        return std::nullopt; // Proxmox itself fails the start then
    for (const auto& [device, selector] : missing_functions(vm_facts.devices))
        if (!plan.is_looked_for(selector))
            return Refusal{ErrorKind::not_found, names_unknown(vm_facts, device, selector)};
    return std::nullopt;
}

// As choose_hostpci_devices in qemu-server's PCI.pm.
std::optional<Refusal> refuse_double_device(const VmFacts& vm_facts)
{
    std::map<PciAddress, std::string> seen;
    for (const auto& device : vm_facts.devices) {
        if (!device.reserved()) continue;
        for (const auto& address : device.taken().functions) {
            const auto [first, added] = seen.emplace(address, device.key);
            if (!added)
                return Refusal{
                    ErrorKind::invalid_config,
                    {quote(address) + " is named by '" + first->second + "' and by '" + device.key + "'",
                     "take one of the two out: Proxmox does not start the guest with both"}};
        }
    }
    return std::nullopt;
}

std::optional<Refusal> refuse_mismatched_mapping(const VmFacts& vm_facts)
{
    if (vm_facts.mapping_mismatches.empty()) return std::nullopt;
    const auto& first = vm_facts.mapping_mismatches.front();
    return Refusal{
        ErrorKind::invalid_config,
        {"mapping " + quote(first.mapping) + ": " + first.reason,
         "Proxmox will not start the guest until it is corrected under Datacenter > Resource Mappings"}};
}

std::optional<Refusal> refuse_virtual_functions(const RecoveryPlan& plan)
{
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (card.is_cycled() && function.facts.virtual_functions > 0)
                return Refusal{ErrorKind::sriov_parent,
                               {quote(function.address()) + " has virtual functions (" +
                                    std::to_string(function.facts.virtual_functions) +
                                    "), which removing it would destroy",
                                "pass one of those to the guest, or write 0 to its sriov_numvfs first"}};
    return std::nullopt;
}

std::optional<Refusal> refuse_held(const VmFacts& vm_facts, const RecoveryPlan& plan)
{
    for (const auto& holder : vm_facts.holders)
        if (weight_of(vm_facts, plan, holder) == Weight::refusal)
            return Refusal{ErrorKind::in_use, in_use_advice(vm_facts, plan, holder)};
    return std::nullopt;
}

} // namespace

std::optional<Refusal> refuse_stuck_writer(const VmFacts& vm_facts)
{
    for (const auto& writer : vm_facts.writers)
        if (writer.stuck)
            return Refusal{ErrorKind::stuck_writer,
                           {"pid " + std::to_string(writer.pid) + " (" + writer.program +
                                ") blocks the PCI bus in the kernel's '" + writer.where +
                                "' until a VM releases its device",
                            "stop that VM ('pve-gpu-install status' shows who has what), else reboot the "
                            "host"}};
    return std::nullopt;
}

std::optional<Refusal> refuse_lost_bridge(const VmFacts& vm_facts)
{
    if (!vm_facts.lost_bridge) return std::nullopt;
    return Refusal{ErrorKind::not_found, without_numbers(*vm_facts.lost_bridge)};
}

std::vector<Advice> warn_of_use(const VmFacts& vm_facts, const RecoveryPlan& plan)
{
    std::map<PciAddress, std::string> uses; // by function: each is said once
    for (const auto& holder : vm_facts.holders) {
        if (weight_of(vm_facts, plan, holder) != Weight::warning) continue;
        auto& text = uses[holder.function];
        text += text.empty() ? in_use_fact(vm_facts, holder) : ", " + describe(holder);
    }
    std::vector<Advice> warnings;
    warnings.reserve(uses.size());
    for (const auto& [function, text] : uses) warnings.push_back({text, "the guest gets it all the same"});
    std::map<PciAddress, unsigned> lost; // virtual functions by their parents
    for (const auto& [function, parent] : vm_facts.virtual_functions) ++lost[parent];
    for (const auto& [parent, number] : lost)
        warnings.push_back({quote(parent) + " has virtual functions (" + std::to_string(number) +
                            "), which go when it does"});
    return warnings;
}

std::optional<Refusal> refuse_start(const VmFacts& vm_facts, const RecoveryPlan& plan)
{
    auto refused = refuse_unknown_device(vm_facts, plan);
    if (!refused) refused = refuse_double_device(vm_facts);
    if (!refused) refused = refuse_mismatched_mapping(vm_facts);
    if (!refused)
        refused = refuse_held(vm_facts, plan); // before anybody is told to give virtual functions up
    if (!refused) refused = refuse_virtual_functions(plan);
    return refused;
}

Advice names_unknown(const VmFacts& vm_facts, const PassedDevice& device, const HostSelector& selector)
{
    const auto fact =
        (device.mapping ? "the mapping " + quote(*device.mapping) + " of " + quote(device.key) + " lists "
                        : quote(device.key) + " names ") +
        quote(selector.text) + ", which is not on the PCI bus";
    if (auto known = with_cause(fact, vm_facts.absent, selector)) return std::move(*known);
    if (!device.mapping)
        return {fact + ", and there is no port that could have lost it",
                "correct the line ('lspci' shows what is there)"};
    return {fact +
                ", and Proxmox starts no guest with this mapping; there is no port that could have lost it",
            "correct it under Datacenter > Resource Mappings"};
}

} // namespace pvegpu
