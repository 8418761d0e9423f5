#include "recovery/power.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "recovery/writes.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Letting it sleep again takes no longer than its driver needs to suspend it.
constexpr Milliseconds sleeps_within{5'000};

void write_power(System& system, const std::string& path, const std::string& text, Milliseconds within)
{
    const auto now = system.read(path);
    if (!now || std::string_view(*now).starts_with(text)) return;
    const auto outcome = system.write(path, text, within);
    if (outcome.still_running()) throw_stuck(outcome, path);
}

bool needed_by_another(const std::vector<GuestState>& others, const std::string& path)
{
    return std::any_of(others.begin(), others.end(), [&](const GuestState& other) {
        return std::any_of(other.power.begin(), other.power.end(),
                           [&](const Setting& setting) { return setting.path == path; });
    });
}

} // namespace

void keep_awake(System& system, const std::string& path, Milliseconds within)
{
    write_power(system, path, path.ends_with("d3cold_allowed") ? "0" : "on", within);
}

void restore_power(System& system, const GuestState& state)
{
    auto others = read_guest_states(system);
    std::erase_if(others, [&](const GuestState& other) { return other.vmid == state.vmid; });
    for (const auto& setting : state.power)
        if (!needed_by_another(others, setting.path))
            write_power(system, setting.path, setting.text, sleeps_within);
}

} // namespace pvegpu
