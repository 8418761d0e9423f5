#include "recovery/recover_cards.hpp"

#include "base/lists.hpp"
#include "machine/deadlines.hpp"
#include "pci/read_function.hpp"
#include "recovery/port.hpp"
#include "recovery/stages.hpp"
#include "recovery/steps.hpp"
#include "recovery/verify.hpp"
#include "recovery/vt_console.hpp"
#include "usage/pci_writers.hpp"

#include <algorithm>
#include <utility>

namespace pvegpu {
namespace {

// Reports the steps, also those of a run that throws.
void run_and_report(const RunContext& run, const RecoveryPlan& plan, std::vector<CardRun>& cards,
                    unsigned at_once, std::vector<StepReport>& reports)
{
    const auto report = [&] {
        for (auto& one : cards) append(reports, std::exchange(one.reports, {}));
    };
    try {
        run_stages(run, plan, cards, at_once);
    } catch (...) {
        report();
        throw;
    }
    report();
}

// After every attempt: does the GPU answer at all?
bool answers(const SysReader& reader, const CardPlan& card)
{
    return std::ranges::any_of(card.functions, [&](const PlannedFunction& one) {
        if (one.role != Role::gpu) return false;
        const auto now = read_with_config(reader, one.address());
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

// A card that has failed, on its ways that are left.
class LoneCard {
public:
    LoneCard(const RunContext& run, const RecoveryPlan& plan, CardPlan& card,
             std::vector<StepReport>& reports)
        : run_(run), plan_(plan), card_(card), reports_(reports)
    {
    }

    void recover_after(const Error& failure)
    {
        for (auto error = std::optional(failure); error; error = attempt()) choose_way(*error);
    }

private:
    // Throws if there is none.
    void choose_way(const Error& error)
    {
        const auto& text = error.advice().fact;
        const bool with_port = steps_ == &card_.whole_card && error.reason() == ErrorKind::no_memory;
        const bool last = !with_port && (steps_ != &card_.steps || card_.whole_card.empty());
        const bool at_work = last && others_are_at_work(run_);
        if (at_work || error.reason() == ErrorKind::disturbed) disturbed_by_ = text;
        // Attempts that others undo do not count, as long as the run lasts; after one, a failure that shows
        // no trace of them may still be theirs.
        if (at_work) undisturbed_ = 0;
        if (last && !at_work && ++undisturbed_ == (disturbed_by_.empty() ? 1 : 3))
            give_up(run_, card_, error);
        if (text != last_failure_ || with_port)
            run_.warn({text, with_port ? "trying once more with the port above the card removed"
                                       : "trying once more with the whole card removed"});
        last_failure_ = text;
        run_.journal.undo_settings();
        steps_ = with_port ? &card_.with_port : card_.whole_card.empty() ? &card_.steps : &card_.whole_card;
    }

    // What it has failed at.
    std::optional<Error> attempt()
    {
        std::vector<CardRun> alone{{&card_, *steps_}};
        try {
            run_and_report(run_, plan_, alone, 1, reports_);
        } catch (const Error& error) {
            if (error.reason() != ErrorKind::timed_out || disturbed_by_.empty()) throw;
            throw Error(ErrorKind::timed_out,
                        {disturbed_by_ + "; others are at work on the PCI bus all the time",
                         "find out who rescans it, and start the guest again"});
        }
        return alone.front().failure;
    }

    const RunContext& run_;
    const RecoveryPlan& plan_;
    CardPlan& card_;
    std::vector<StepReport>& reports_;
    const std::vector<Step>* steps_ = &card_.steps;
    std::string last_failure_, disturbed_by_;
    unsigned undisturbed_ = 0; // failures of the whole card in a row
};

} // namespace

void recover_cards(const RunContext& run, RecoveryPlan& plan, std::vector<StepReport>& reports)
{
    require_vfio(run, plan.settings.timeouts.bind);
    std::vector<CardRun> cards;
    for (auto& card : plan.cards) {
        if (!card.is_cycled()) continue;
        release_firmware_console(run, card);
        cards.push_back({&card, card.steps});
    }
    run_and_report(run, plan, cards, plan.settings.parallel, reports);
    for (const auto& one : cards)
        if (one.failure) LoneCard(run, plan, *one.card, reports).recover_after(*one.failure);
}

void give_back_cards(const RunContext& run, std::vector<CardPlan> cards, unsigned at_once,
                     std::vector<StepReport>& reports)
{
    std::vector<CardRun> runs;
    for (auto& card : cards)
        if (card.is_cycled()) runs.push_back({&card, card.steps});
    const RecoveryPlan of_no_start{};
    run_and_report(run, of_no_start, runs, at_once, reports);
    for (const auto& one : runs)
        if (one.failure) throw Error(*one.failure);
}

} // namespace pvegpu
