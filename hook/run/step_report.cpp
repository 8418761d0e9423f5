#include "run/step_report.hpp"

namespace pvegpu {

std::string to_string(StepResult result)
{
    switch (result) {
    case StepResult::done:
        return "done";
    case StepResult::refused:
        return "refused";
    case StepResult::timed_out:
        return "timed-out";
    case StepResult::skipped:
        return "skipped";
    case StepResult::not_reached:
        break;
    }
    return "not-reached";
}

} // namespace pvegpu
