#include "recovery/recover_card.hpp"

#include "base/overloaded.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/native_drivers.hpp"
#include "recovery/port.hpp"
#include "recovery/reset.hpp"
#include "recovery/steps.hpp"
#include "recovery/verify.hpp"
#include "recovery/vm_facts.hpp"
#include "recovery/vt_console.hpp"
#include "usage/pci_writers.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::optional<Function> read_again(const SysReader& reader, const PciAddress& address)
{
    auto function = read_function(reader, address);
    if (function) function->config = read_config_space(reader, address, config_space_within);
    return function;
}

// Warnings go to the log, the first fatal difference ends the attempt.
StepOutcome verify(const RunContext& run, const RecoveryPlan& plan, const CardPlan& card,
                   const PciAddress& address)
{
    const auto now = read_again(run.system, address);
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
    const auto now = read_config_space(run.system, *card.card.port, config_space_within);
    if (const auto finding = compare_link(*card.card.port, card.port, now)) run.warn(finding->advice);
}

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

class CardRun {
public:
    CardRun(const RunContext& run, const RecoveryPlan& plan, CardPlan& card, std::vector<Step>& steps,
            std::vector<StepReport>& reports)
        : run_(run), plan_(plan), card_(card), steps_(steps), reports_(reports), guard_(run, card)
    {
    }

    void run_steps()
    {
        std::size_t done = 0;
        while (done < steps_.size()) {
            enter_or_leave_rescans(std::holds_alternative<Rescan>(steps_.at(done))); // which may add some
            const auto step = steps_.at(done++);
            run_step(run_.system, report_of(step), reports_, [&] { return perform(step); });
        }
    }

private:
    // What has to be so while the card is off the bus and found again.
    void enter_or_leave_rescans(bool rescanning)
    {
        if (rescanning == rescanning_) return;
        rescanning_ = rescanning;
        if (rescanning) {
            guard_.before_rescans();
        } else {
            adopt_what_appeared();
            guard_.after_rescans();
            if (restore_hotplug(run_)) unbind_from_vfio(run_, card_);
            put_back_device_settings(run_);
        }
    }

    // Whatever appears below the card's port when the card is found again is the card's: it was missing when
    // the plan was made. The situation is read once more for it.
    void adopt_what_appeared()
    {
        if (!holds_a_stranger(run_.system, card_)) return add_missing_steps();
        const auto now = read_vm_facts(run_.system, plan_.request, plan_.vm);
        for (const auto& card : now.cards) {
            if (card.port != card_.card.port) continue;
            for (const auto& address : card.functions) {
                if (card_.find(address) != nullptr) continue;
                card_.card.functions.push_back(address);
                card_.functions.push_back(plan_function(now, address));
                run_.warn({quote(address) + " on the GPU's card was missing, and is back"});
            }
            card_.card.switches = card.switches;
        }
        save_guest_state(run_.system, note_guest_state(run_.system, plan_));
        add_missing_steps();
    }

    void add_missing_steps()
    {
        for (const auto& function : card_.functions) {
            if (!function.goes_to_guest || !function.in_scope || has_bind(steps_, function.address()))
                continue;
            const auto first_verify = std::ranges::find_if(
                steps_, [](const Step& step) { return std::holds_alternative<Verify>(step); });
            steps_.insert(first_verify, Bind{function.address()});
            steps_.emplace_back(Verify{function.address()});
        }
    }

    // A reset under a driver that somebody else's rescan has given the card to would be an accident.
    void check_nothing_is_back(const Reset& step) const
    {
        for (const auto& address : removed_)
            if (run_.system.exists(paths::function(address)))
                throw Error(ErrorKind::disturbed,
                            {quote(address) + " was found again by somebody else before '" +
                             to_string(step.target) + "' was reset"});
    }

    StepOutcome perform(const Step& step)
    {
        return std::visit(
            Overloaded{[&](const Wake& one) { return wake(run_, card_, one.function); },
                       [&](const Unbind& one) { return unbind(run_, card_, one.function); },
                       [&](const Reset& one) {
                           check_nothing_is_back(one);
                           return reset(run_, card_, one);
                       },
                       [&](const Remove& one) {
                           auto outcome = remove(run_, card_, one.function);
                           removed_.push_back(one.function);
                           return outcome;
                       },
                       [&](const Rescan& one) { return rescan(run_, card_, one.bus); },
                       [&](const Bind& one) { return bind(run_, card_, one.function); },
                       [&](const GiveBack& one) {
                           restore_hotplug(run_); // after the reset
                           return give_back(run_, card_, one);
                       },
                       [&](const Verify& one) { return verify(run_, plan_, card_, one.function); }},
            step);
    }

    const RunContext& run_;
    const RecoveryPlan& plan_;
    CardPlan& card_;
    std::vector<Step>& steps_;
    std::vector<StepReport>& reports_;
    NativeDriverGuard guard_;
    std::vector<PciAddress> removed_;
    bool rescanning_ = false;
};

// What the guest's lines name below the card's port, and was missing when the plan was made.
void verify_named(const RunContext& run, const RecoveryPlan& plan, const CardPlan& card)
{
    const auto all = list_functions(run.system);
    for (const auto& [device, selector] : missing_functions(plan.devices))
        if (card.may_hold(selector) && !names_one(selector, all))
            throw Error(ErrorKind::failed,
                        {"'" + selector.text + "' (" + device.key + ") did not come back with its card"});
}

void run_attempt(const RunContext& run, const RecoveryPlan& plan, CardPlan& card, std::vector<Step> steps,
                 std::vector<StepReport>& reports)
{
    const auto before = reports.size();
    try {
        CardRun(run, plan, card, steps, reports).run_steps();
        verify_named(run, plan, card);
        verify_link(run, card);
    } catch (const Error&) {
        for (auto index = reports.size() - before; index < steps.size(); ++index)
            reports.push_back(report_of(steps[index]));
        throw;
    }
}

// After every attempt: does the GPU answer at all?
bool answers(const SysReader& reader, const CardPlan& card)
{
    return std::ranges::any_of(card.functions, [&](const PlannedFunction& one) {
        if (one.role != Role::gpu) return false;
        const auto now = read_again(reader, one.address());
        return now && now->config && now->config->health == Health::alive;
    });
}

[[noreturn]] void give_up(const RunContext& run, const CardPlan& card, const Error& error)
{
    const auto& fact = error.advice().fact; // what to do is known now
    if (answers(run.system, card)) {
        if (error.reason() != ErrorKind::disturbed) throw Error(error);
        throw Error(ErrorKind::failed,
                    {fact, "find out what else is at work on the PCI bus, and start the guest again"});
    }
    if (const auto bridge = lost_bridge_above(run.system, *card.card.port))
        throw Error(ErrorKind::not_found, without_numbers(*bridge));
    throw Error(
        ErrorKind::needs_power_cycle,
        {"the card below " + quote(*card.card.port) + " no longer responds (last error: " + fact + ")",
         "power-cycle the host: shut it down, switch it off, and on again"});
}

// A GPU without a driver is not unbound, and the console may write to it as the firmware has left it.
void release_firmware_console(const RunContext& run, const CardPlan& card)
{
    for (const auto& function : card.functions)
        if (function.in_scope && function.facts.driver.empty()) release_console(run, function.facts);
}

bool others_are_at_work(const RunContext& run)
{
    constexpr unsigned looks = 3; // a loop of rescans makes no longer pauses
    for (unsigned look = 1; find_pci_writers(run.system).empty(); ++look) {
        if (look == looks) return false;
        sleep_for(run, between_looks);
    }
    return true;
}

} // namespace

void run_card_steps(const RunContext& run, CardPlan& card, std::vector<StepReport>& reports)
{
    const RecoveryPlan of_no_start{};
    auto steps = card.steps;
    CardRun(run, of_no_start, card, steps, reports).run_steps();
}

void recover_card(const RunContext& run, const RecoveryPlan& plan, CardPlan& card,
                  std::vector<StepReport>& reports)
{
    require_vfio(run, card.settings.timeouts.bind);
    release_firmware_console(run, card);
    std::string last_failure, disturbed_by;
    unsigned undisturbed = 0; // failures of the whole card in a row
    for (const auto* steps = &card.steps;;) {
        try {
            return run_attempt(run, plan, card, *steps, reports);
        } catch (const Error& error) {
            if (error.reason() == ErrorKind::timed_out && !disturbed_by.empty())
                throw Error(ErrorKind::timed_out,
                            {disturbed_by + "; others are at work on the PCI bus all the time",
                             "find out who rescans it, and start the guest again"});
            const bool may_go_on = error.reason() == ErrorKind::failed ||
                                   error.reason() == ErrorKind::disturbed ||
                                   error.reason() == ErrorKind::no_memory;
            if (!may_go_on) throw;
            const auto& text = error.advice().fact;
            const bool with_port = steps == &card.whole_card && error.reason() == ErrorKind::no_memory;
            const bool last = !with_port && (steps != &card.steps || card.whole_card.empty());
            const bool at_work = last && others_are_at_work(run);
            if (at_work || error.reason() == ErrorKind::disturbed) disturbed_by = text;
            // Attempts that others undo do not count, as long as the run lasts; after one, a failure that
            // shows no trace of them may still be theirs.
            if (at_work) undisturbed = 0;
            if (last && !at_work && ++undisturbed == (disturbed_by.empty() ? 1 : 3))
                give_up(run, card, error);
            if (text != last_failure || with_port)
                run.warn({text, with_port ? "trying once more with the port above the card removed"
                                          : "trying once more with the whole card removed"});
            last_failure = text;
            run.journal.undo_settings();
            steps = with_port ? &card.with_port : card.whole_card.empty() ? &card.steps : &card.whole_card;
        }
    }
}

} // namespace pvegpu
