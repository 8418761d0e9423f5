#include "recover_card.hpp"

#include "console.hpp"
#include "native_drivers.hpp"
#include "paths.hpp"
#include "read_function.hpp"
#include "reset.hpp"
#include "steps.hpp"
#include "verify.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

constexpr Milliseconds config_space_within{5'000};

std::optional<Function> look_at(const SysReader& reader, const PciAddress& address)
{
    auto function = read_function(reader, address);
    if (function) function->config = read_config_space(reader, address, config_space_within);
    return function;
}

// Warnings go to the log, the first fatal difference ends the rung.
StepOutcome verify(const Run& run, const Plan& plan, const CardPlan& card, const PciAddress& address)
{
    const auto now = look_at(run.system, address);
    auto findings = compare(card, *card.find(address), now);
    if (now)
        if (auto finding = compare_mapping(plan, *now)) findings.push_back(std::move(*finding));
    for (const auto& finding : findings)
        if (finding.fatal) throw Error(Reason::failed, finding.text);
    for (const auto& finding : findings) run.warn(finding.text);
    return {};
}

void verify_link(const Run& run, const CardPlan& card)
{
    const auto now = read_config_space(run.system, *card.card.port, config_space_within);
    if (const auto finding = compare_link(*card.card.port, card.port, now)) run.warn(finding->text);
}

class CardRun {
public:
    CardRun(const Run& run, const Plan& plan, const CardPlan& card, std::vector<StepReport>& reports)
        : run_(run), plan_(plan), card_(card), reports_(reports), guard_(run, card)
    {
    }

    void run_steps(const std::vector<Step>& steps)
    {
        for (const auto& step : steps) {
            enter_or_leave_rescans(step.op == Op::rescan);
            report(step);
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
            guard_.after_rescans();
            restore_hotplug(run_);
        }
    }

    StepOutcome perform(const Step& step)
    {
        switch (step.op) {
        case Op::wake:
            return wake(run_, card_, step.function);
        case Op::unbind:
            return unbind(run_, card_, step.function);
        case Op::reset:
            return reset(run_, card_, step);
        case Op::remove:
            return remove(run_, card_, step.function);
        case Op::rescan:
            return rescan(run_, card_, step.bus);
        case Op::bind:
            return bind(run_, card_, step.function);
        case Op::verify:
        case Op::load: // a container's, never of a card
        case Op::create:
        case Op::wait:
            break;
        }
        return verify(run_, plan_, card_, step.function);
    }

    void report(const Step& step)
    {
        StepReport entry{step, StepResult::done, {}, ""};
        const TimePoint begin = run_.system.now();
        const auto finish = [&] {
            entry.elapsed = std::chrono::duration_cast<Milliseconds>(run_.system.now() - begin);
            reports_.push_back(entry);
        };
        try {
            const auto outcome = perform(step);
            if (outcome.skipped) entry.result = StepResult::skipped;
            if (outcome.refused) entry.result = StepResult::refused;
            entry.detail = outcome.detail;
        } catch (const Error& error) {
            const bool late = error.reason() == Reason::stuck_write || error.reason() == Reason::timed_out;
            entry.result = late ? StepResult::timed_out : StepResult::refused;
            entry.detail = error.what();
            finish();
            throw;
        }
        finish();
    }

    const Run& run_;
    const Plan& plan_;
    const CardPlan& card_;
    std::vector<StepReport>& reports_;
    NativeDriverGuard guard_;
    bool rescanning_ = false;
};

void list_unreached(const std::vector<Step>& steps, std::size_t reached, std::vector<StepReport>& reports)
{
    for (std::size_t index = reached; index < steps.size(); ++index)
        reports.push_back({steps[index], StepResult::not_reached, {}, ""});
}

void run_rung(const Run& run, const Plan& plan, const CardPlan& card, const std::vector<Step>& steps,
              std::vector<StepReport>& reports)
{
    const auto before = reports.size();
    try {
        CardRun(run, plan, card, reports).run_steps(steps);
        verify_link(run, card);
    } catch (const Error&) {
        list_unreached(steps, reports.size() - before, reports);
        throw;
    }
}

// After every rung: does the GPU answer at all?
bool answers(const SysReader& reader, const CardPlan& card)
{
    return std::any_of(card.functions.begin(), card.functions.end(), [&](const PlannedFunction& one) {
        if (one.role != Role::gpu) return false;
        const auto now = look_at(reader, one.address());
        return now && now->config && now->config->health == Health::alive;
    });
}

// What to do is said at the end, when it is known.
std::string without_remedy(const Error& error)
{
    const std::string text = error.what();
    return text.substr(0, text.find("; "));
}

[[noreturn]] void give_up(const Run& run, const CardPlan& card, const Error& error)
{
    if (answers(run.system, card)) throw Error(error);
    throw Error(
        Reason::needs_power_cycle,
        "the card below '" + to_string(*card.card.port) +
            "' answers nothing, whatever was tried; it needs a power cycle: shut the host down, switch "
            "it off, and on again (" +
            without_remedy(error) + ")");
}

// A GPU without a driver is not unbound, and the console may write to it as the firmware has left it.
void release_firmware_console(const Run& run, const CardPlan& card)
{
    for (const auto& function : card.functions)
        if (function.cycled && function.facts.driver.empty()) release_console(run, function.facts);
}

} // namespace

void recover_card(const Run& run, const Plan& plan, const CardPlan& card, std::vector<StepReport>& reports)
{
    require_vfio(run, card.settings.timeouts.bind);
    release_firmware_console(run, card);
    try {
        run_rung(run, plan, card, card.steps, reports);
        return;
    } catch (const Error& error) {
        if (error.reason() != Reason::failed) throw;
        if (card.second_rung.empty()) give_up(run, card, error);
        run.warn(without_remedy(error) + "; trying once more with the whole card removed");
        run.journal.undo_settings();
    }
    try {
        run_rung(run, plan, card, card.second_rung, reports);
    } catch (const Error& error) {
        if (error.reason() != Reason::failed) throw;
        give_up(run, card, error);
    }
}

} // namespace pvegpu
