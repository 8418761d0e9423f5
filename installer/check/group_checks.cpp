// What is around the card: companions, twins, IOMMU group, virtual functions.
#include "check_families.hpp"
#include "opinions.hpp"
#include "paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

bool is_passed(const CheckFacts& facts, const PciAddress& address)
{
    return std::any_of(facts.survey.guests.begin(), facts.survey.guests.end(),
                       [&](const auto& guest) { return guest.keys.contains(address); });
}

std::string kind_of(const Function& function)
{
    switch (function.class_code >> 16U) {
    case 0x01:
        return "a disk controller";
    case 0x02:
        return "a network card";
    case 0x03:
    case 0x12:
        return "another GPU";
    case 0x04:
        return "an audio device";
    case 0x0c:
        return "a USB or serial bus controller";
    default:
        return "a device of class 0x" + to_hex(function.class_code, 6);
    }
}

// The GPU's own line without the function where that takes them all, else a line more.
Fix pass_them(const CheckFacts& facts, const CardFacts& one, const std::vector<PciAddress>& left)
{
    const auto* guest = facts.survey.find(one.vmids.front());
    const auto key = guest->keys.at(one.gpu); // it is passed, so there is such a guest
    const auto raw = std::any_of(guest->config.hostpci.begin(), guest->config.hostpci.end(),
                                 [&](const HostPci& line) { return line.key() == key && !line.mapping; });
    const bool one_slot = std::all_of(left.begin(), left.end(),
                                      [&](const auto& address) { return same_slot(address, one.gpu); });
    if (!raw) return {"add it to the resource mapping: Datacenter > Resource Mappings"};
    const auto set = "qm set " + vm_of(one) + " --";
    auto slot = to_string(one.gpu);
    slot.resize(slot.find('.'));
    const auto* const options =
        guest->config.setting("machine").find("q35") != std::string::npos ? ",pcie=1" : "";
    if (one_slot) return {set + key + " " + slot + options};
    std::string commands;
    auto next = guest->config.hostpci.back().index;
    for (const auto& address : left)
        commands += (commands.empty() ? "" : "; ") + set + "hostpci" + std::to_string(++next) + " " +
                    to_string(address) + options;
    return {commands};
}

Finding companions_of(const CheckFacts& facts, const CardFacts& one)
{
    std::vector<PciAddress> left;
    std::string names;
    for (const auto& address : one.card.functions) {
        if (address == one.gpu || is_passed(facts, address)) continue;
        left.push_back(address);
        names += (names.empty() ? "" : ", ") + named(facts.topology.at(address));
    }
    if (left.empty()) return about_card(one, Verdict::ok, "'hostpci' lines name every function of the card");
    return about_card(one, Verdict::warning,
                      names + " is on the card, and no 'hostpci' line of VM " + vm_of(one) + " names it",
                      pass_them(facts, one, left));
}

Finding twins_of(const CheckFacts& facts, const CardFacts& one)
{
    const auto& gpu = facts.gpu(one);
    for (const auto& other : facts.cards)
        if (other.gpu != one.gpu && device_id(facts.gpu(other)) == device_id(gpu) && !other.passed())
            return about_card(
                one, Verdict::note, named(facts.gpu(other)) + " has the same ids and stays with the host",
                {"use no 'ids=': 'pve-gpu-install --vm " + vm_of(one) + "' binds by address", true});
    return about_card(one, Verdict::ok,
                      "/sys/bus/pci/devices has no other GPU " + device_id(gpu) +
                          " that stays with the host");
}

std::string use_of(const CheckFacts& facts, const PciAddress& address)
{
    for (const auto& holder : facts.neighbours_in_use)
        if (holder.function == address) return ", in use: " + describe(holder);
    return "";
}

Finding neighbours_of(const CheckFacts& facts, const CardFacts& one)
{
    std::string strangers;
    bool held = false;
    for (const auto& member : facts.gpu(one).group_members) {
        const auto* function = facts.topology.find(member);
        if (function == nullptr || function->bridge || one.card.has(member) || is_passed(facts, member))
            continue;
        const auto use = use_of(facts, member);
        held = held || !use.empty();
        strangers += (strangers.empty() ? "" : "; ") + named(*function) + ", " + kind_of(*function) + use;
    }
    const auto group = paths::iommu_group_members(*facts.gpu(one).iommu_group);
    if (strangers.empty()) return about_card(one, Verdict::ok, group + " has nothing of the host");
    return about_card(one, held ? Verdict::error : Verdict::warning, group + " also has " + strangers,
                      {"put the card into another slot, or turn on 'ACS' in the firmware's setup; "
                       "'pcie_acs_override' only hides it, and then a guest can reach the host's memory"});
}

} // namespace

Findings card_companions(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (one.passed() && !facts.gpu(one).virtual_function) findings.push_back(companions_of(facts, one));
    return findings;
}

Findings card_twins(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (one.passed()) findings.push_back(twins_of(facts, one));
    return findings;
}

Findings group_isolation(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        if (!one.passed()) continue;
        if (facts.gpu(one).iommu_group)
            findings.push_back(neighbours_of(facts, one));
        else
            findings.push_back(about_card(one, Verdict::error, file_of(one.gpu, "iommu_group") + " is absent",
                                          {"see 'iommu.enabled'"}));
    }
    return findings;
}

Findings card_sriov(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto existing = facts.gpu(one).virtual_functions;
        if (!one.passed()) continue;
        if (existing == 0)
            findings.push_back(about_card(one, Verdict::ok, file_of(one.gpu, "virtfn*") + " is absent"));
        else
            findings.push_back(about_card(one, Verdict::error,
                                          file_of(one.gpu, "virtfn*") + ": it is passed whole and has " +
                                              counted(existing, "virtual function"),
                                          {"pass a virtual function instead; or give them up: echo 0 > " +
                                           file_of(one.gpu, "sriov_numvfs")}));
    }
    return findings;
}

} // namespace pvegpu
