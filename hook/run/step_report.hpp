// What becomes of a plan's steps, whatever the plan is for: run one by one, each reported.
#pragma once

#include "base/error.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

enum class StepResult { done, refused, timed_out, skipped, not_reached };
std::string to_string(StepResult result);

struct StepReport {
    std::string op;     // "unbind"
    std::string target; // "0000:03:00.0", "0000:03", "nvidia-uvm" or "/dev/nvidia0"
    StepResult result = StepResult::not_reached;
    Milliseconds elapsed{0};
    std::string detail = {};
};

// What a step was good for: done, skipped because there was nothing to do, or refused by the kernel while the
// run goes on without it.
struct StepOutcome {
    StepResult result = StepResult::done;
    std::string detail = {};
};

// Why a guest must not start, or be given back.
struct Refusal {
    Reason reason = Reason::in_use;
    Advice advice;
};

// The steps as not reached yet; each kind of step has its own report_of.
template <typename Step>
void append_unreached(std::vector<StepReport>& reports, const std::vector<Step>& steps)
{
    for (const auto& step : steps) reports.push_back(report_of(step));
}

// Performs a step and reports it, also one that throws. `perform` gives a StepOutcome.
template <typename Step, typename Perform>
void run_step(const System& system, const Step& step, std::vector<StepReport>& reports, Perform perform)
{
    auto report = report_of(step);
    const TimePoint begin = system.now();
    const auto finish = [&](StepResult result, const std::string& detail) {
        report.result = result;
        report.detail = detail;
        report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
        reports.push_back(report);
    };
    try {
        const StepOutcome outcome = perform(step);
        finish(outcome.result, outcome.detail);
    } catch (const Error& error) {
        const bool late = error.reason() == Reason::stuck_write || error.reason() == Reason::timed_out;
        finish(late ? StepResult::timed_out : StepResult::refused, error.what());
        throw;
    }
}

} // namespace pvegpu
