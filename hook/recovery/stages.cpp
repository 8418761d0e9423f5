#include "recovery/stages.hpp"

#include "base/lists.hpp"
#include "base/overloaded.hpp"
#include "machine/paths.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/last_look.hpp"
#include "recovery/native_drivers.hpp"
#include "recovery/reset.hpp"
#include "recovery/steps.hpp"
#include "recovery/what_came_back.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <limits>

namespace pvegpu {
namespace {

enum class Stage { wake, unbind, remove_before_reset, reset, remove, rescan, bind, give_back, verify };
constexpr std::array stages{Stage::wake,  Stage::unbind,    Stage::remove_before_reset,
                            Stage::reset, Stage::remove,    Stage::rescan,
                            Stage::bind,  Stage::give_back, Stage::verify};

bool is_reset(const Step& step)
{
    return std::holds_alternative<Reset>(step);
}

Stage stage_of(const std::vector<Step>& steps, std::size_t index)
{
    const auto later = steps.begin() + static_cast<std::ptrdiff_t>(index);
    const auto remove =
        std::any_of(later, steps.end(), is_reset) ? Stage::remove_before_reset : Stage::remove;
    return std::visit(
        Overloaded{[](const Wake&) { return Stage::wake; }, [](const Unbind&) { return Stage::unbind; },
                   [](const Reset&) { return Stage::reset; }, [&](const Remove&) { return remove; },
                   [](const Rescan&) { return Stage::rescan; }, [](const Bind&) { return Stage::bind; },
                   [](const GiveBack&) { return Stage::give_back; },
                   [](const Verify&) { return Stage::verify; }},
        steps.at(index));
}

// A step that is due, and whose.
struct Due {
    CardRun* run;
    Step step;
};

bool one_above_the_other(const CardPlan& a, const CardPlan& b)
{
    const auto is_above = [](const CardPlan& upper, const CardPlan& lower) {
        return upper.card.port && std::ranges::any_of(lower.functions, [&](const PlannedFunction& one) {
                   return contains(one.facts.above, *upper.card.port);
               });
    };
    return is_above(a, b) || is_above(b, a);
}

// Those of one lane are done one after the other.
std::vector<std::vector<CardRun*>> lanes_of(std::vector<CardRun>& cards)
{
    std::vector<std::vector<CardRun*>> lanes;
    for (auto& one : cards) {
        const auto lane = std::ranges::find_if(lanes, [&](const std::vector<CardRun*>& others) {
            return std::ranges::any_of(
                others, [&](const CardRun* other) { return one_above_the_other(*other->card, *one.card); });
        });
        if (lane == lanes.end())
            lanes.push_back({&one});
        else
            lane->push_back(&one);
    }
    return lanes;
}

// The lowest IOMMU group of what a rescan of the bus brings back: the bus's functions, or the whole card.
unsigned group_of(const CardPlan& card, const PciBus& bus)
{
    const bool whole_card = std::ranges::none_of(
        card.functions, [&](const PlannedFunction& one) { return bus_of(one.address()) == bus; });
    auto lowest = std::numeric_limits<unsigned>::max();
    for (const auto& function : card.functions)
        if (whole_card || bus_of(function.address()) == bus)
            lowest = std::min(lowest, function.facts.iommu_group.value_or(lowest));
    return lowest;
}

StepReport report_of(const CardRun& one, const Step& step)
{
    auto report = report_of(step);
    if (one.card->card.port) report.card = to_string(*one.card->card.port);
    return report;
}

void report_unreached(CardRun& one)
{
    const auto is_reported = [&](const StepReport& step) {
        return std::ranges::any_of(one.reports, [&](const StepReport& report) {
            return report.op == step.op && report.target == step.target;
        });
    };
    for (const auto& step : one.steps)
        if (auto report = report_of(one, step); !is_reported(report))
            one.reports.push_back(std::move(report));
}

bool leaves_the_others(const Error& error)
{
    return error.reason() == ErrorKind::failed || error.reason() == ErrorKind::disturbed ||
           error.reason() == ErrorKind::no_memory;
}

class Stages {
public:
    Stages(const RunContext& run, const RecoveryPlan& plan, std::vector<CardRun>& cards, unsigned at_once)
        : run_(run), plan_(plan), cards_(cards), lanes_(lanes_of(cards)), at_once_(at_once), guard_(run),
          last_look_(run)
    {
    }

    void run()
    {
        for (const auto stage : stages) {
            const auto due = due_in(stage);
            if (due.empty() || end_) continue;
            attempt([&] { before(stage, due); });
            perform_all(stage, due);
            attempt([&] { after(stage); });
            run_.journal.write_settled();
        }
        for (auto& one : cards_)
            attempt(one, [&] {
                verify_named(run_, plan_, *one.card);
                verify_link(run_, *one.card);
            });
        for (auto& one : cards_) report_unreached(one);
        if (end_) std::rethrow_exception(end_);
    }

private:
    // --- a stage ---

    std::vector<Due> due_in(Stage stage)
    {
        std::vector<Due> due;
        for (auto& one : cards_)
            for (std::size_t index = 0; index < one.steps.size() && !one.failure; ++index)
                if (stage_of(one.steps, index) == stage) due.push_back({&one, one.steps[index]});
        if (stage == Stage::rescan)
            std::ranges::stable_sort(due, {}, [](const Due& one) {
                return group_of(*one.run->card, std::get<Rescan>(one.step).bus);
            });
        return due;
    }

    void perform_all(Stage stage, const std::vector<Due>& due)
    {
        const bool one_by_one =
            stage == Stage::remove_before_reset || stage == Stage::remove || stage == Stage::rescan;
        if (one_by_one) {
            for (const auto& one : due) perform(one);
        } else if (stage == Stage::unbind) {
            unbind_all(due);
        } else {
            together(due);
        }
    }

    // `work` takes a CardRun.
    template <typename Work> void for_each_lane(Work work)
    {
        std::vector<System::Job> jobs;
        jobs.reserve(lanes_.size());
        for (const auto& lane : lanes_)
            jobs.emplace_back([&work, &lane] {
                for (auto* one : lane) work(*one);
            });
        run_.system.run_together(jobs, at_once_);
    }

    void together(const std::vector<Due>& due)
    {
        for_each_lane([&](const CardRun& card) {
            for (const auto& one : due)
                if (one.run == &card) perform(one);
        });
    }

    // What the host's drivers have goes first: only a look at all processes tells who uses it, and the time
    // between that look and its unbind is to be short.
    void unbind_all(const std::vector<Due>& due)
    {
        std::vector<Due> native, on_vfio;
        for (const auto& one : due)
            (last_look_.is_native(std::get<Unbind>(one.step).function) ? native : on_vfio).push_back(one);
        together(native);
        if (!native.empty() && !end_) attempt([&] { last_look_.tell_who_came_too_late(); });
        together(on_vfio);
    }

    void before(Stage stage, const std::vector<Due>& due)
    {
        std::vector<Undo> undos;
        for (const auto& one : due) append(undos, undos_of(run_, one.step));
        if (stage == Stage::unbind) look_at_users(due);
        if (stage == Stage::rescan) guard_.before_rescans(healthy());
        if (stage == Stage::give_back) restore_hotplug(run_); // after the reset
        run_.journal.note(undos);
        if (stage == Stage::reset)
            for (const auto& one : due) quiet_hotplug(run_, *one.run->card, std::get<Reset>(one.step));
    }

    void after(Stage stage)
    {
        if (stage != Stage::rescan || healthy().empty()) return;
        for (auto& one : cards_)
            if (!one.failure) adopt_what_appeared(run_, plan_, *one.card, one.steps);
        guard_.after_rescans();
        if (restore_hotplug(run_)) unbind_all_from_vfio();
        if (!end_) put_back_device_settings(run_);
    }

    // Waking from D3hot each takes its time.
    void unbind_all_from_vfio()
    {
        for_each_lane([&](CardRun& one) { attempt(one, [&] { unbind_from_vfio(run_, *one.card); }); });
    }

    void look_at_users(const std::vector<Due>& due)
    {
        std::vector<CardFunction> users;
        users.reserve(due.size());
        for (const auto& one : due) users.push_back({one.run->card, std::get<Unbind>(one.step).function});
        last_look_.look(users);
    }

    std::vector<const CardPlan*> healthy() const
    {
        std::vector<const CardPlan*> cards;
        for (const auto& one : cards_)
            if (!one.failure) cards.push_back(one.card);
        return cards;
    }

    // --- a step ---

    void perform(const Due& due)
    {
        auto& one = *due.run;
        attempt(one, [&] {
            run_step(run_.system, report_of(one, due.step), one.reports,
                     [&] { return outcome_of(one, due.step); });
        });
    }

    StepOutcome outcome_of(CardRun& one, const Step& step)
    {
        const auto& card = *one.card;
        return std::visit(
            Overloaded{[&](const Wake& wanted) { return wake(run_, card, wanted.function); },
                       [&](const Unbind& wanted) {
                           last_look_.check(wanted.function);
                           return unbind(run_, card, wanted.function);
                       },
                       [&](const Reset& wanted) {
                           check_nothing_is_back(one, wanted);
                           return reset(run_, card, wanted);
                       },
                       [&](const Remove& wanted) {
                           auto outcome = remove(run_, card, wanted.function);
                           one.removed.push_back(wanted.function);
                           return outcome;
                       },
                       [&](const Rescan& wanted) { return rescan(run_, card, wanted.bus); },
                       [&](const Bind& wanted) { return bind(run_, card, wanted.function); },
                       [&](const GiveBack& wanted) { return give_back(run_, card, wanted); },
                       [&](const Verify& wanted) { return verify(run_, plan_, card, wanted.function); }},
            step);
    }

    // A reset under a driver that somebody else's rescan has given the card to would be an accident.
    void check_nothing_is_back(const CardRun& one, const Reset& step) const
    {
        for (const auto& address : one.removed)
            if (run_.system.exists(paths::function(address)))
                throw Error(ErrorKind::disturbed,
                            {quote(address) + " was found again by somebody else before '" +
                             to_string(step.target) + "' was reset"});
    }

    // --- failures ---

    template <typename Work> void attempt(CardRun& one, Work work)
    {
        if (one.failure || end_) return;
        try {
            work();
        } catch (const Error& error) {
            if (leaves_the_others(error))
                one.failure.emplace(error);
            else
                end_ = std::current_exception();
        } catch (...) {
            end_ = std::current_exception();
        }
    }

    // What is done for all cards fails for all.
    template <typename Work> void attempt(Work work)
    {
        if (end_) return;
        try {
            work();
        } catch (const Error& error) {
            if (!leaves_the_others(error)) end_ = std::current_exception();
            for (auto& one : cards_)
                if (!one.failure) one.failure.emplace(error);
        } catch (...) {
            end_ = std::current_exception();
        }
    }

    const RunContext& run_;
    const RecoveryPlan& plan_;
    std::vector<CardRun>& cards_;
    std::vector<std::vector<CardRun*>> lanes_; // of cards_
    unsigned at_once_;
    NativeDriverGuard guard_;
    LastLook last_look_;
    std::exception_ptr end_; // of the whole run
};

} // namespace

void run_stages(const RunContext& run, const RecoveryPlan& plan, std::vector<CardRun>& cards,
                unsigned at_once)
{
    Stages(run, plan, cards, at_once).run();
}

} // namespace pvegpu
