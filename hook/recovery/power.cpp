#include "recovery/power.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "recovery/writes.hpp"

namespace pvegpu {
namespace {

// Letting it sleep again takes no longer than its driver needs to suspend it.
constexpr Milliseconds sleeps_within{5'000};

StepOutcome write_power(System& system, const std::string& path, const std::string& text, Milliseconds within)
{
    const auto now = system.read(path);
    if (!now) return {StepResult::skipped, "is not there"};
    if (std::string_view(*now).starts_with(text)) return {StepResult::skipped, "says so already"};
    const auto outcome = system.write(path, text, within);
    if (outcome.still_running()) throw_stuck(outcome, path);
    return {outcome.done() ? StepResult::done : StepResult::refused};
}

} // namespace

void keep_awake(System& system, const std::string& path, Milliseconds within)
{
    write_power(system, path, awake_text(path), within);
}

StepOutcome put_back_power(System& system, const Setting& setting)
{
    return write_power(system, setting.path, setting.text, sleeps_within);
}

} // namespace pvegpu
