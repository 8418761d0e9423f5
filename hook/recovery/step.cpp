#include "recovery/step.hpp"

#include "base/overloaded.hpp"

namespace pvegpu {
StepReport report_of(const Step& step)
{
    const auto named = [](const char* op, const auto& target) { return StepReport{op, to_string(target)}; };
    return std::visit(Overloaded{[&](const Wake& one) { return named("wake", one.function); },
                                 [&](const Unbind& one) { return named("unbind", one.function); },
                                 [&](const Reset& one) { return named("reset", one.target); },
                                 [&](const Remove& one) { return named("remove", one.function); },
                                 [&](const Rescan& one) { return named("rescan", one.bus); },
                                 [&](const Bind& one) { return named("bind", one.function); },
                                 [&](const GiveBack& one) { return named("give-back", one.function); },
                                 [&](const Verify& one) { return named("verify", one.function); }},
                      step);
}

} // namespace pvegpu
