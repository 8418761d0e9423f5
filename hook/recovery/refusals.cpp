#include "recovery/refusals.hpp"

#include "recovery/port.hpp"
#include "recovery/situation.hpp"

#include <algorithm>
#include <map>

namespace pvegpu {
namespace {

// What another use of a device means for us.
bool stops_the_start(const Holder& holder, const RecoveryPlan& plan, bool named)
{
    if (holder.kind == Holder::Kind::usb)
        return !named; // whoever names a USB controller wants what is plugged in
    if (holder.kind != Holder::Kind::process || !named) return true;
    return std::ranges::any_of(plan.cards,
                               [&](const CardPlan& card) { return card.find(holder.function) != nullptr; });
}

std::optional<Refusal> refuse_unknown_device(const Situation& situation, const RecoveryPlan& plan)
{
    if (!situation.search.empty() || situation.cards.empty()) return std::nullopt;
    for (const auto& [device, selector] : missing_functions(situation.devices))
        if (!plan.is_looked_for(selector)) return Refusal{Reason::not_found, names_unknown(device, selector)};
    return std::nullopt;
}

// As choose_hostpci_devices in qemu-server's PCI.pm.
std::optional<Refusal> refuse_double_device(const Situation& situation)
{
    std::map<PciAddress, std::string> seen;
    for (const auto& device : situation.devices) {
        if (!device.reserved()) continue;
        for (const auto& address : device.taken().functions) {
            const auto [first, added] = seen.emplace(address, device.key);
            if (!added)
                return Refusal{
                    Reason::invalid_config,
                    {quote(address) + " is named by '" + first->second + "' and by '" + device.key + "'",
                     "Proxmox will not start the guest until one of them is taken out"}};
        }
    }
    return std::nullopt;
}

std::optional<Refusal> refuse_mismatched_mapping(const Situation& situation)
{
    if (situation.mapping_mismatches.empty()) return std::nullopt;
    return Refusal{
        Reason::invalid_config,
        {situation.mapping_mismatches.front(),
         "Proxmox will not start the guest until it is corrected under Datacenter > Resource Mappings"}};
}

std::optional<Refusal> refuse_virtual_functions(const RecoveryPlan& plan)
{
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (function.facts.virtual_functions > 0)
                return Refusal{Reason::sriov_parent,
                               {quote(function.address()) + " has virtual functions (" +
                                    std::to_string(function.facts.virtual_functions) +
                                    "), which removing it would destroy",
                                "pass one of those to the guest, or write 0 to its sriov_numvfs first"}};
    return std::nullopt;
}

std::optional<Refusal> refuse_held(const Situation& situation, const RecoveryPlan& plan)
{
    for (const auto& holder : situation.holders) {
        if (!situation.taken.contains(holder.function)) continue;
        if (stops_the_start(holder, plan, !key_of(situation.devices, holder.function).empty()))
            return Refusal{Reason::in_use, in_use_message(holder)};
    }
    return std::nullopt;
}

} // namespace

std::optional<Refusal> refuse_stuck_writer(const Situation& situation)
{
    for (const auto& writer : situation.writers)
        if (writer.stuck)
            return Refusal{Reason::stuck_writer,
                           {"pid " + std::to_string(writer.pid) + " (" + writer.program +
                                ") blocks the PCI bus in the kernel's '" + writer.where +
                                "' until a VM releases its device",
                            "stop that VM ('pve-gpu-install status' shows who has what), else reboot the "
                            "host"}};
    return std::nullopt;
}

std::optional<Refusal> refuse_lost_bridge(const Situation& situation)
{
    if (!situation.lost_bridge) return std::nullopt;
    return Refusal{Reason::not_found, without_numbers(*situation.lost_bridge)};
}

std::optional<Refusal> refuse_cycle(const Situation& situation, const RecoveryPlan& plan)
{
    auto refused = refuse_unknown_device(situation, plan);
    if (!refused) refused = refuse_double_device(situation);
    if (!refused) refused = refuse_mismatched_mapping(situation);
    if (!refused) refused = refuse_virtual_functions(plan);
    if (!refused) refused = refuse_held(situation, plan);
    return refused;
}

Advice names_unknown(const PassedDevice& device, const HostSelector& selector)
{
    if (!device.mapping)
        return {"'" + device.key + "' names '" + selector.text +
                    "', which is not on the PCI bus, and there is no port that could have lost it",
                "correct the line ('lspci' shows what is there)"};
    return {"the mapping '" + *device.mapping + "' of '" + device.key + "' lists '" + selector.text +
                "', which is not on the PCI bus, and Proxmox starts no guest with this mapping; there is no "
                "port that could have lost it",
            "correct it under Datacenter > Resource Mappings"};
}

} // namespace pvegpu
