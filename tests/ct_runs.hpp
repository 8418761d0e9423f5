// The hook's runs for container 901, as tests ask about them.
#pragma once

#include "fake_system.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace pvegpu::testing {

inline constexpr unsigned vmid = 901;

inline Report pre_start(FakeSystem& machine)
{
    return run_phase(machine, {vmid, Phase::pre_start, ""});
}

inline std::vector<std::string> steps_of(const Report& report)
{
    std::vector<std::string> steps;
    for (const auto& step : report.steps) steps.push_back(step.op + " " + step.target);
    return steps;
}

inline bool ran(const FakeSystem& machine, const std::string& command)
{
    const auto& effects = machine.effects();
    return std::find(effects.begin(), effects.end(), "run " + command) != effects.end();
}

} // namespace pvegpu::testing
