#include "run/step_report.hpp"

#include "base/enum_names.hpp"

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

void run_step(const System& system, StepReport report, std::vector<StepReport>& reports,
              const std::function<StepOutcome()>& perform)
{
    const TimePoint begin = system.now();
    const auto finish = [&](const StepOutcome& outcome) {
        report.result = outcome.result;
        report.detail = outcome.detail;
        report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
        reports.push_back(std::move(report));
    };
    try {
        finish(perform());
    } catch (const Error& error) {
        const bool late = error.reason() == Reason::stuck_write || error.reason() == Reason::timed_out;
        finish({late ? StepResult::timed_out : StepResult::refused, error.what()});
        throw;
    }
}

} // namespace pvegpu
