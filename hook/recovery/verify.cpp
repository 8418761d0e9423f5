#include "recovery/verify.hpp"

#include "pci/read_function.hpp"

#include "base/lists.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// What the guest does not get cannot keep it from starting.
class Findings {
public:
    explicit Findings(const PlannedFunction& function)
        : name_(quote(function.address()) + " "), guest_gets_it_(function.goes_to_guest)
    {
    }

    void fatal(bool found, const Advice& advice) { add(found, {guest_gets_it_, advice}); }
    void warning(bool found, const Advice& advice) { add(found, {false, advice}); }
    void no_memory(bool found, const std::string& what)
    {
        add(found, {guest_gets_it_,
                    {"has no memory " + what,
                     "switch on 'above 4G decoding' in the firmware or boot with pci=realloc"},
                    true});
    }
    std::vector<Difference> take() { return std::move(list_); }

private:
    void add(bool found, Difference difference)
    {
        if (!found) return;
        difference.advice.fact = name_ + difference.advice.fact;
        list_.push_back(std::move(difference));
    }

    std::string name_;
    bool guest_gets_it_;
    std::vector<Difference> list_;
};

std::string size_text(std::uint64_t bytes)
{
    return std::to_string(bytes >> 20U) + " MiB";
}

void compare_bars(const std::vector<Bar>& before, const std::vector<Bar>& now, Findings& findings)
{
    for (const auto& bar : before) {
        const auto* other = find_by(now, bar.index, &Bar::index);
        const auto name = "BAR " + std::to_string(bar.index);
        const bool lost = bar.assigned && (other == nullptr || !other->assigned);
        if (bar.io) {
            findings.warning(
                lost, {"has lost the I/O ports of " + name, "drivers of modern cards do not use them"});
            continue;
        }
        findings.no_memory(lost, "for " + name);
        if (lost || other == nullptr) continue;
        findings.warning(other->size < bar.size,
                         {name + " is " + size_text(other->size) + " instead of " + size_text(bar.size),
                          "the guest may run slower until the host is rebooted"});
    }
}

void look_for_lost_bars(const Function& now, Findings& findings)
{
    if (!now.config || now.config->health != Health::alive) return;
    for (const auto index : bars_without_memory(now))
        findings.no_memory(true, "for BAR " + std::to_string(index));
    const bool any = std::ranges::any_of(now.bars, [](const Bar& bar) { return bar.assigned && !bar.io; });
    findings.no_memory(role_of(now) != Role::neighbour && !any, "at all");
}

// A group that has come apart is told of once, by the first of the card's functions that were in it.
bool speaks_for_its_group(const CardPlan& card, const Function& function)
{
    return std::ranges::none_of(function.group_members, [&](const PciAddress& member) {
        return member < function.address && card.card.has(member);
    });
}

std::string names_of_missing(const std::vector<PciAddress>& before, const std::vector<PciAddress>& now)
{
    std::string names;
    for (const auto& member : before)
        if (!contains(now, member)) names += (names.empty() ? "'" : ", '") + to_string(member) + "'";
    return names;
}

void compare_groups(const CardPlan& card, const Function& before, const Function& now, Findings& findings)
{
    findings.fatal(before.iommu_group && !now.iommu_group,
                   {"has no IOMMU group any more", "reboot the host"});
    for (const auto& member : now.group_members) {
        const bool ours = card.card.has(member) || contains(card.card.switches, member);
        findings.fatal(
            !ours && !contains(before.group_members, member),
            {"is now in one IOMMU group with " + quote(member) + ", which would be taken from the host",
             "reboot the host"});
    }
    if (!speaks_for_its_group(card, before)) return;
    const auto missing = names_of_missing(before.group_members, now.group_members);
    findings.warning(!missing.empty(), {"no longer shares its IOMMU group with " + missing,
                                        "QEMU resets their bus only for a guest that has both: pass it all "
                                        "of the card (hostpci), or reboot the host"});
}

void compare_identity(const Function& before, const Function& now, Findings& findings)
{
    findings.fatal(device_id(now) != device_id(before) || subsystem_id(now) != subsystem_id(before),
                   {"came back as " + device_id(now) + " (" + subsystem_id(now) + ") instead of " +
                        device_id(before) + " (" + subsystem_id(before) + ")",
                    "switch the host off and on"});
    findings.fatal(!now.config,
                   {"does not let its configuration space be read", "switch the host off and on"});
    findings.fatal(now.config && now.config->health != Health::alive,
                   {"reads all ones", "power-cycle the host: switch it off and on"});
}

} // namespace

std::optional<Function> read_with_config(const SysReader& reader, const PciAddress& address)
{
    auto function = read_function(reader, address);
    if (function) function->config = read_config_space(reader, address, config_space_within);
    return function;
}

std::vector<Difference> compare(const CardPlan& card, const PlannedFunction& before,
                                const std::optional<Function>& now)
{
    Findings findings(before);
    findings.fatal(!now,
                   {"did not come back", before.goes_to_guest ? "switch the host off and on"
                                                              : "the host has it again after a reboot"});
    if (!now) return findings.take();
    compare_identity(before.facts, *now, findings);
    compare_bars(before.facts.bars, now->bars, findings);
    look_for_lost_bars(*now, findings);
    compare_groups(card, before.facts, *now, findings);
    findings.fatal(before.goes_to_guest && now->driver != before.vfio_driver,
                   {"is bound to '" + now->driver + "' and not to '" + before.vfio_driver + "'",
                    "see the kernel's log (dmesg)"});
    return findings.take();
}

std::optional<Difference> compare_link(const PciAddress& port, const std::optional<ConfigSpace>& before,
                                       const std::optional<ConfigSpace>& now)
{
    if (!before || !now || now->link_width >= before->link_width) return std::nullopt;
    return Difference{false,
                      {"the link of port " + quote(port) + " has " + std::to_string(now->link_width) +
                           " lanes instead of " + std::to_string(before->link_width),
                       "a power cycle of the host usually brings the others back"}};
}

std::optional<Difference> compare_mapping(const RecoveryPlan& plan, const Function& now)
{
    for (const auto& device : plan.devices) {
        const auto& taken = device.taken();
        if (!taken.mapped || taken.functions.empty() || taken.functions.front() != now.address) continue;
        const auto wanted = taken.mapped->iommu_group;
        if (!wanted || wanted == now.iommu_group) continue;
        return Difference{true,
                          {quote(now.address) + " is now in IOMMU group " +
                               (now.iommu_group ? std::to_string(*now.iommu_group) : "none") +
                               ", and the mapping '" + device.mapping.value_or("") + "' says " +
                               std::to_string(*wanted),
                           "correct it under Datacenter > Resource Mappings, then start the guest again"}};
    }
    return std::nullopt;
}

} // namespace pvegpu
