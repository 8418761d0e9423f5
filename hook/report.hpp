// What happened, for people and programs. The JSON is CONTRACT.md's: plan/1 and report/1.
#pragma once

#include "recovery/plan.hpp"
#include "recovery/steps.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

enum class StepResult { done, refused, timed_out, skipped, not_reached };
enum class RunOutcome { recovered, nothing_to_do, warned, refused, failed };

std::string to_string(RunOutcome outcome);

struct StepReport {
    Step step;
    StepResult result = StepResult::not_reached;
    Milliseconds elapsed{0};
    std::string detail;
};

struct Report {
    Plan plan;
    RunOutcome outcome = RunOutcome::nothing_to_do;
    std::string error;        // why it was refused or failed, with what to do; else empty
    std::int64_t started = 0; // seconds since 1970
    Milliseconds elapsed{0};
    std::vector<StepReport> steps;

    int exit_status() const; // 0, or 1 when the start must not go on
};

std::string plan_json(const Plan& plan);
std::string plan_text(const Plan& plan);   // a line for each step, or why there is none
std::string why_nothing(const Plan& plan); // "its hostpci lines name no GPU that is passed whole"
std::string report_json(const Report& report);

// "2026-11-21T03:04:05Z"
std::string rfc3339(std::int64_t seconds_since_1970);

} // namespace pvegpu
