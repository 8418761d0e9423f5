// All that a start looks at, and the plan that is made of it.
#include "base/error.hpp"
#include "base/overloaded.hpp"
#include "fuzz.hpp"
#include "hook/report.hpp"
#include "machine_reader.hpp"
#include "recovery/plan.hpp"
#include "recovery/recover_gpu.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

using namespace pvegpu;

namespace {

bool named_by_guest(const RecoveryPlan& plan, const CardPlan& card)
{
    return std::any_of(card.functions.begin(), card.functions.end(), [&](const PlannedFunction& one) {
        return one.role == Role::gpu && !one.hostpci.empty() && !plan.devices.empty();
    });
}

// Whatever the machine says: nothing is done where a start is refused, and only to cards that the guest
// names.
void check(const RecoveryPlan& plan)
{
    for (const auto& card : plan.cards) {
        fuzz::require(!plan.refused ||
                      (card.steps.empty() && card.whole_card.empty() && card.with_port.empty()));
        fuzz::require(named_by_guest(plan, card));
        for (const auto& step : card.steps)
            std::visit(Overloaded{[&](const Remove& one) { fuzz::require(card.card.has(one.function)); },
                                  [&](const Unbind& one) { fuzz::require(card.card.has(one.function)); },
                                  [&](const Bind& one) { fuzz::require(card.card.has(one.function)); },
                                  [](const auto&) {}},
                       step);
    }
    PhasePlan phase;
    phase.plan = plan;
    fuzz::require(nlohmann::json::parse(plan_json(phase)).is_object());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const fuzz::MachineReader machine(fuzz::text_of(data, size));
    try {
        const Request request{.vmid = 101};
        const auto file = read_guest_file(machine, request);
        const VmFile vm{file.path, parse_guest_config(file.text)};
        check(plan_recovery(machine, request, vm, read_settings(machine)));
    } catch (const Error& error) {
        fuzz::require_printable(error.what());
    }
    return 0;
}
