#include "recovery/plan.hpp"

#include "base/lists.hpp"
#include "pci/device_table.hpp"
#include "proxmox/named_devices.hpp"
#include "recovery/card_steps.hpp"
#include "recovery/refusals.hpp"
#include "recovery/vm_facts.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::vector<const Holder*> holders_of(const VmFacts& vm_facts, const PciAddress& address)
{
    std::vector<const Holder*> result;
    for (const auto& holder : vm_facts.holders)
        if (holder.function == address) result.push_back(&holder);
    return result;
}

void note_held_in_reset(const Function& bridge, CardPlan& plan)
{
    if (bridge.config && bridge.config->secondary_bus_reset) plan.held_in_reset.push_back(bridge.address);
}

CardPlan plan_functions(const VmFacts& vm_facts, const Card& card)
{
    CardPlan plan;
    plan.card = card;
    if (card.port) {
        const auto& port = vm_facts.topology.at(*card.port);
        plan.port = port.config;
        plan.buses = port.buses();
        note_held_in_reset(port, plan);
    }
    for (const auto& bridge : card.switches) note_held_in_reset(vm_facts.topology.at(bridge), plan);
    for (const auto& address : card.functions) plan.functions.push_back(plan_function(vm_facts, address));
    return plan;
}

// vfio-pci, which Proxmox binds whatever it finds; with `driver=keep` the host's own choice, one of the
// variants that the kernel has for some devices.
std::string vfio_driver_of(const PassedDevice* device, const Function& function)
{
    return device != nullptr && device->keep_driver ? function.driver : "vfio-pci";
}

bool looks_dead(const CardPlan& card)
{
    const auto& config = card.gpu().config; // nothing where it did not let itself be read in time
    return !config || config->health != Health::alive;
}

// "auto": a working Function-Level Reset makes all of this needless, as long as the card answers.
bool may_be_left_alone(const CardPlan& card)
{
    if (card.settings.strategy == Strategy::off) return true;
    if (card.settings.strategy != Strategy::automatic || looks_dead(card)) return false;
    const auto& gpu = card.gpu();
    return gpu.flr() && device_traits(gpu).flr != DeviceTraits::Flr::harmful;
}

// A companion that the host still uses, and that Proxmox will not take: a reset of the whole card would hit
// it.
void spare_busy_companions(const VmFacts& vm_facts, CardPlan& card, std::vector<Advice>& warnings)
{
    bool busy = false;
    for (auto& function : card.functions) {
        if (function.goes_to_guest) continue;
        const auto holders = holders_of(vm_facts, function.address());
        if (holders.empty()) continue;
        busy = true;
        warnings.push_back({quote(function.address()) + " on the GPU's card is used by " +
                                describe(*holders.front()) + ", so the card cannot be reset as a whole",
                            "pass it to the guest too (hostpci), or stop using it on the host"});
    }
    if (busy)
        for (auto& function : card.functions)
            function.in_scope = function.role == Role::gpu && function.goes_to_guest;
}

// Not a refusal where nothing is done: it need not be a GPU, and Proxmox itself then fails the start.
void warn_of_unknown_device(const VmFacts& vm_facts, RecoveryPlan& plan)
{
    for (const auto& [device, selector] : missing_functions(vm_facts.devices))
        plan.warnings.push_back(names_unknown(vm_facts, device, selector));
}

void warn_of_idle_neighbours(const VmFacts& vm_facts, RecoveryPlan& plan)
{
    const auto& instance = vm_facts.request.instance;
    for (const auto& address : vm_facts.taken) {
        const bool named = !key_of(vm_facts.devices, address).empty();
        const bool on_card = std::ranges::any_of(
            plan.cards, [&](const CardPlan& card) { return card.find(address) != nullptr; });
        if (!named && !on_card)
            plan.warnings.push_back(
                {quote(address) + " shares an IOMMU group with the guest's devices",
                 instance.empty() ? "Proxmox will take it from the host too"
                                  : "'pve-gpu-install --incus " + instance +
                                        "' passes it along: while the host's driver has it QEMU refuses "
                                        "the group"});
    }
}

void plan_card(const VmFacts& vm_facts, const Card& card, const SettingsFile& settings, RecoveryPlan& plan)
{
    CardPlan planned = plan_functions(vm_facts, card);
    const auto& gpu = planned.gpu();
    planned.settings = settings.for_device(vm_facts.request.vmid, device_id(gpu));
    if (!card.port)
        plan.warnings.push_back(
            {"the hook does not reset the card of " + quote(gpu.address) + ": " + card.left_alone_because});
    else if (!may_be_left_alone(planned))
        spare_busy_companions(vm_facts, planned, plan.warnings);
    plan.cards.push_back(std::move(planned));
}

void plan_steps(const VmFacts& vm_facts, RecoveryPlan& plan)
{
    for (auto& card : plan.cards) {
        if (!card.card.port || may_be_left_alone(card)) continue;
        CardSteps steps = steps_for(card, vm_facts);
        card.steps = std::move(steps.first);
        card.whole_card = std::move(steps.whole_card);
        card.with_port = std::move(steps.with_port);
        append(plan.warnings, steps.warnings);
    }
}

// Who else is at work there, and whether it can be reached at all: a search waits for the same lock of the
// kernel as a removal.
void look_at_the_bus(const VmFacts& vm_facts, RecoveryPlan& plan)
{
    plan.others_at_work =
        !vm_facts.writers.empty() &&
        std::ranges::none_of(vm_facts.writers, [](const PciWriter& writer) { return writer.stuck; });
    plan.refused = refuse_stuck_writer(vm_facts);
    if (vm_facts.lost_bridge) plan.lost_bridge = vm_facts.lost_bridge->address;
    if (!plan.refused) plan.refused = refuse_lost_bridge(vm_facts);
}

} // namespace

const PlannedFunction* CardPlan::find(const PciAddress& address) const
{
    return find_where(functions, [&](const PlannedFunction& one) { return one.address() == address; });
}

const Function& CardPlan::gpu() const
{
    return std::ranges::find_if(
               functions,
               [](const PlannedFunction& one) { return one.role == Role::gpu && !one.hostpci.empty(); })
        ->facts;
}

bool CardPlan::may_hold(const HostSelector& selector) const
{
    const auto first = first_function(selector.text);
    return buses && first && buses->has(bus_of(*first));
}

bool RecoveryPlan::cycles_something() const
{
    return std::ranges::any_of(cards, &CardPlan::is_cycled);
}

bool RecoveryPlan::nothing_to_do() const
{
    return !refused && search.empty() && !cycles_something();
}

bool RecoveryPlan::is_looked_for(const HostSelector& missing) const
{
    return std::ranges::any_of(
        cards, [&](const CardPlan& card) { return card.is_cycled() && card.may_hold(missing); });
}

PlannedFunction plan_function(const VmFacts& vm_facts, const PciAddress& address)
{
    const auto& function = vm_facts.topology.at(address);
    const auto* device = device_of(vm_facts.devices, address);
    return {.facts = function,
            .role = role_of(function),
            .hostpci = device == nullptr ? "" : device->key,
            .goes_to_guest = vm_facts.taken.contains(address),
            .vfio_driver = vfio_driver_of(device, function)};
}

RecoveryPlan make_plan(const VmFacts& vm_facts, const SettingsFile& settings)
{
    RecoveryPlan plan;
    plan.request = vm_facts.request;
    plan.vm = vm_facts.vm;
    plan.warnings = vm_facts.warnings;
    plan.devices = vm_facts.devices;
    plan.search = vm_facts.search;
    plan.absent = vm_facts.absent;
    plan.lost_cards = vm_facts.lost_cards;
    plan.settings = settings.for_guest(vm_facts.request.vmid);
    if (plan.settings.strategy == Strategy::off) plan.search.clear();
    for (const auto& card : vm_facts.cards) plan_card(vm_facts, card, settings, plan);
    plan_steps(vm_facts, plan);
    const bool cycles = plan.cycles_something();
    if (cycles || !plan.search.empty()) look_at_the_bus(vm_facts, plan);
    if (!plan.refused) plan.refused = refuse_start(vm_facts, plan);
    if (plan.refused) {
        // Only the reason is said: what else could be said of such a start misleads.
        plan.warnings.clear();
        for (auto& card : plan.cards) card.steps.clear(), card.whole_card.clear(), card.with_port.clear();
        return plan;
    }
    append(plan.warnings, warn_of_use(vm_facts, plan));
    warn_of_idle_neighbours(vm_facts, plan);
    if (!cycles && plan.search.empty()) warn_of_unknown_device(vm_facts, plan);
    return plan;
}

std::vector<StepReport> planned_steps(const RecoveryPlan& plan)
{
    std::vector<StepReport> steps;
    for (const auto& bus : plan.search) steps.push_back(report_of(Rescan{bus}));
    for (const auto& card : plan.cards) append_unreached(steps, card.steps);
    return steps;
}

} // namespace pvegpu
