// The hosts of tests/hosts, one folder each (host_folder.hpp): what the hook would do at the start and the
// stop of its guest is plan.txt, what check finds for that guest is check.txt. A folder that is put there is
// found. UPDATE_GOLDEN=1 writes both texts anew; then read the difference.
//
// Tests of C++ are left where a folder says too little: whoever hangs, refuses or reacts to a write is no
// fact that a file holds, a start that changes the machine is hundreds of writes, and the plans of
// tests/installs show files whole that a capture does not let out.
#include "catch.hpp"
#include "check/facts.hpp"
#include "check/show_checks.hpp"
#include "golden.hpp"
#include "hook/phases.hpp"
#include "host_folder.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

std::string print_function(const PlannedFunction& function)
{
    std::string text = "  " + to_string(function.address()) + " " + to_string(function.role);
    if (!function.hostpci.empty()) text += " " + function.hostpci;
    if (function.to_vfio) text += " -> vfio-pci";
    if (!function.cycled) text += " (left as it is)";
    return text + "\n";
}

std::string how(const Step& step)
{
    const auto* const reset = std::get_if<Reset>(&step);
    if (reset == nullptr) return "";
    switch (reset->by) {
    case ResetBy::bridge_control:
        return " by Bridge Control";
    case ResetBy::function:
        return " by its own reset";
    case ResetBy::reset_subordinate:
        break;
    }
    return " by reset_subordinate";
}

std::string print_steps(const std::string& title, const std::vector<Step>& steps)
{
    if (steps.empty()) return "";
    std::string text = title + "\n";
    for (const auto& step : steps)
        text += "  " + report_of(step).op + " " + report_of(step).target + how(step) + "\n";
    return text;
}

std::string print_recovery(const RecoveryPlan& plan)
{
    std::string text;
    for (const auto& bus : plan.search) text += "look for a missing device on bus " + to_string(bus) + "\n";
    for (const auto& card : plan.cards) {
        text += card.card.port ? "card below " + to_string(*card.card.port) + "\n" : "card without a port\n";
        for (const auto& function : card.functions) text += print_function(function);
        text += print_steps("steps", card.steps);
        text += print_steps("if that does not help", card.whole_card);
    }
    return text;
}

std::string print_phase(const PhasePlan& phase)
{
    std::string text;
    if (phase.refused)
        text +=
            "refused: " + to_string(phase.refused->reason) + ": " + to_string(phase.refused->advice) + "\n";
    for (const auto& warning : phase.all_warnings()) text += "warning: " + to_string(warning) + "\n";
    if (const auto* const plan = std::get_if<RecoveryPlan>(&phase.plan))
        text += print_recovery(*plan);
    else if (!phase.steps().empty())
        text += plan_text(phase);
    return text;
}

std::string plans_of(const FakeSystem& machine, unsigned vmid)
{
    const auto plan = [&](Phase phase) { return print_phase(plan_phase(machine, {vmid, phase, ""})); };
    const auto start = plan(Phase::pre_start), stop = plan(Phase::post_stop);
    return (start.empty() ? "nothing to do\n" : start) + (stop.empty() ? "" : "\nat the stop\n" + stop);
}

std::string check_of(const FakeSystem& machine, unsigned vmid)
{
    return print_findings(narrowed(run_checks(read_check_facts(machine)), {vmid}), false);
}

} // namespace

TEST_CASE("each host has the plan and the findings that its folder shows", "[host][golden]")
{
    for (const auto& name : host_names()) {
        DYNAMIC_SECTION(name)
        {
            FakeSystem machine;
            const auto vmid = load_host(machine, read_host_folder(hosts_directory + name));
            check_golden("/hosts/" + name + "/plan.txt", plans_of(machine, vmid));
            check_golden("/hosts/" + name + "/check.txt", check_of(machine, vmid));
            CHECK(machine.writes().empty());
        }
    }
}
