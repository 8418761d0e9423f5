#include "recovery/return_plan.hpp"

#include "base/lists.hpp"
#include "recovery/vm_facts.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::string native_driver_of(const GuestState& state, const PciAddress& address)
{
    const auto* known = find_by(state.functions, address, &GuestFunction::address);
    return known != nullptr ? known->native_driver : "";
}

// "auto", and its own reset is good: Proxmox has done it, and what was the guest's is given back as it is.
std::vector<Step> steps_of_one_left_alone(const CardPlan& card)
{
    std::vector<Step> steps;
    for (const auto& function : card.functions)
        if (function.goes_to_guest) steps.emplace_back(Unbind{function.address()});
    return steps;
}

// As at a start up to the removal. Our own write to Bridge Control wants nothing left below the port.
std::vector<Step> reset_as_at_a_start(const CardPlan& card)
{
    std::vector<Step> steps;
    for (const auto& step : card.steps) {
        if (std::holds_alternative<Remove>(step)) break;
        const auto* const reset = std::get_if<Reset>(&step);
        if (reset == nullptr || reset->by != ResetBy::bridge_control) steps.push_back(step);
    }
    return steps;
}

// A companion that was never the guest's has had its driver all the time, and let go of it for the reset.
std::vector<Step> return_steps(const CardPlan& card, const GuestState& state)
{
    auto steps = card.is_cycled() ? reset_as_at_a_start(card) : steps_of_one_left_alone(card);
    for (const auto& function : card.functions) {
        if (!function.in_scope || (!card.is_cycled() && !function.goes_to_guest)) continue;
        auto driver =
            function.goes_to_guest ? native_driver_of(state, function.address()) : function.facts.driver;
        if (driver.empty() && function.goes_to_guest) driver = function.vfio_driver;
        steps.emplace_back(GiveBack{function.address(), std::move(driver)});
    }
    return steps;
}

bool needed_by_another(const GuestState& own, const std::vector<GuestState>& all, const std::string& path)
{
    return std::ranges::any_of(all, [&](const GuestState& other) {
        return other.vmid != own.vmid && contains(other.power, path, &Setting::path);
    });
}

void add(PutBack::Kind kind, const std::vector<Setting>& settings, ReturnPlan& plan)
{
    for (const auto& setting : settings) plan.put_back.push_back({kind, setting});
}

} // namespace

StepReport report_of(const PutBack& step)
{
    return {"set", step.setting.path};
}

ReturnPlan plan_keep_awake(const GuestState& state)
{
    ReturnPlan plan;
    for (const auto& [path, before] : state.power)
        plan.put_back.push_back({PutBack::Kind::power, {path, awake_text(path)}});
    return plan;
}

ReturnPlan plan_sleep(const GuestState& state, const std::vector<GuestState>& of_all_guests)
{
    ReturnPlan plan;
    for (const auto& setting : state.power)
        if (!needed_by_another(state, of_all_guests, setting.path))
            add(PutBack::Kind::power, {setting}, plan);
    return plan;
}

ReturnPlan plan_return(const GuestState& state, const std::vector<GuestState>& of_all_guests,
                       const VmFacts& vm_facts, const SettingsFile& settings)
{
    auto start = make_plan(vm_facts, settings); // as if the guest started now
    ReturnPlan plan;
    plan.refused = std::move(start.refused);
    plan.settings = start.settings;
    plan.cards = std::move(start.cards);
    for (auto& card : plan.cards) {
        const bool wanted = card.settings.after_stop == AfterStop::native && card.card.port;
        card.steps = wanted && !plan.refused ? return_steps(card, state) : std::vector<Step>();
    }
    if (plan.gives_cards_back()) add(PutBack::Kind::console, state.console, plan);
    add(PutBack::Kind::reset_method, state.reset_methods, plan);
    append(plan.put_back, plan_sleep(state, of_all_guests).put_back);
    return plan;
}

std::vector<StepReport> planned_steps(const ReturnPlan& plan)
{
    std::vector<StepReport> steps;
    for (const auto& card : plan.cards) append_unreached(steps, card.steps);
    append_unreached(steps, plan.put_back);
    return steps;
}

} // namespace pvegpu
