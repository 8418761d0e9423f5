#include "recovery/what_came_back.hpp"

#include "base/lists.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/verify.hpp"
#include "recovery/vm_facts.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

bool has_bind(const std::vector<Step>& steps, const PciAddress& address)
{
    return std::ranges::any_of(steps, [&](const Step& step) {
        const auto* const bind = std::get_if<Bind>(&step);
        return bind != nullptr && bind->function == address;
    });
}

// Below the card's port there is a function that the plan does not know.
bool holds_a_stranger(const SysReader& reader, const CardPlan& card)
{
    if (!card.buses) return false;
    const auto all = list_functions(reader);
    return std::ranges::any_of(all, [&](const PciAddress& address) {
        return card.buses->has(bus_of(address)) && card.find(address) == nullptr &&
               !reader.exists(paths::function(address, "pci_bus"));
    });
}

void add_missing_steps(const CardPlan& card, std::vector<Step>& steps)
{
    for (const auto& function : card.functions) {
        if (!function.goes_to_guest || !function.in_scope || has_bind(steps, function.address())) continue;
        const auto first_verify = std::ranges::find_if(
            steps, [](const Step& step) { return std::holds_alternative<Verify>(step); });
        steps.insert(first_verify, Bind{function.address()});
        steps.emplace_back(Verify{function.address()});
    }
}

} // namespace

void adopt_what_appeared(const RunContext& run, const RecoveryPlan& plan, CardPlan& card,
                         std::vector<Step>& steps)
{
    if (holds_a_stranger(run.system, card)) {
        const auto now = read_vm_facts(run.system, plan.request, plan.vm);
        for (const auto& other : now.cards) {
            if (other.port != card.card.port) continue;
            for (const auto& address : other.functions) {
                if (card.find(address) != nullptr) continue;
                card.card.functions.push_back(address);
                card.functions.push_back(plan_function(now, address));
                run.warn({quote(address) + " on the GPU's card was missing, and is back"});
            }
            card.card.switches = other.switches;
        }
        save_guest_state(run.system, note_guest_state(run.system, plan));
    }
    add_missing_steps(card, steps);
}

StepOutcome verify(const RunContext& run, const RecoveryPlan& plan, const CardPlan& card,
                   const PciAddress& address)
{
    const auto now = read_with_config(run.system, address);
    auto findings = compare(card, *card.find(address), now);
    if (now)
        if (auto finding = compare_mapping(plan, *now)) findings.push_back(std::move(*finding));
    for (const auto& finding : findings)
        if (finding.fatal)
            throw Error(finding.no_memory ? ErrorKind::no_memory : ErrorKind::failed, finding.advice);
    for (const auto& finding : findings) run.warn(finding.advice);
    return {};
}

void verify_link(const RunContext& run, const CardPlan& card)
{
    if (!card.card.port) return;
    const auto now = read_config_space(run.system, *card.card.port, config_space_within);
    if (const auto finding = compare_link(*card.card.port, card.port, now)) run.warn(finding->advice);
}

void verify_named(const RunContext& run, const RecoveryPlan& plan, const CardPlan& card)
{
    const auto all = list_functions(run.system);
    for (const auto& [device, selector] : missing_functions(plan.devices))
        if (card.may_hold(selector) && !names_one(selector, all))
            throw Error(ErrorKind::failed,
                        {"'" + selector.text + "' (" + device.key + ") did not come back with its card"});
}

} // namespace pvegpu
