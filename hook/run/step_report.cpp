#include "run/step_report.hpp"

#include "base/enum_names.hpp"
#include "base/text.hpp"

#include <array>

namespace pvegpu {

std::string to_string(StepResult result)
{
    static constexpr std::array names{
        EnumName{"done", StepResult::done}, EnumName{"refused", StepResult::refused},
        EnumName{"timed-out", StepResult::timed_out}, EnumName{"skipped", StepResult::skipped},
        EnumName{"not-reached", StepResult::not_reached}};
    return name_of(names, result);
}

std::string line_of(const StepReport& step)
{
    const auto time =
        step.result == StepResult::not_reached ? "" : "  " + std::to_string(step.elapsed.count()) + " ms";
    return step.op + " " + step.target + "  " + to_string(step.result) + time +
           (step.detail.empty() ? "" : "  " + printable(step.detail));
}

void run_step(System& system, StepReport report, std::vector<StepReport>& reports,
              const std::function<StepOutcome()>& perform)
{
    const TimePoint begin = system.now();
    const auto finish = [&](const StepOutcome& outcome) {
        report.result = outcome.result;
        report.detail = outcome.detail;
        report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
        reports.push_back(std::move(report));
        system.show_step(line_of(reports.back()));
    };
    try {
        finish(perform());
    } catch (const Error& error) {
        const bool late = error.reason() == ErrorKind::stuck_write || error.reason() == ErrorKind::timed_out;
        finish({late ? StepResult::timed_out : StepResult::refused, error.what()});
        throw;
    }
}

} // namespace pvegpu
