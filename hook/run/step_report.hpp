// What becomes of a plan's steps, whatever the plan is for: run one by one, each reported.
#pragma once

#include "base/error.hpp"
#include "machine/system.hpp"

#include <functional>
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
    std::string card = {}; // the port of the card that it was done to; empty for what is no card's
};

// What a step was good for: done, skipped because there was nothing to do, or refused by the kernel while the
// run goes on without it.
struct StepOutcome {
    StepResult result = StepResult::done;
    std::string detail = {};
};

// Why a guest must not start, or be given back.
struct Refusal {
    ErrorKind reason = ErrorKind::in_use;
    Advice advice;
};

// The steps as not reached yet; each kind of step has its own report_of.
template <typename Step>
void append_unreached(std::vector<StepReport>& reports, const std::vector<Step>& steps)
{
    for (const auto& step : steps) reports.push_back(report_of(step));
}

// "reset 0000:00:1c.0  done  102 ms"
std::string line_of(const StepReport& step);

// Performs a step and reports it, also one that throws.
void run_step(System& system, StepReport report, std::vector<StepReport>& reports,
              const std::function<StepOutcome()>& perform);

} // namespace pvegpu
