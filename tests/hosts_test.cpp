// The hosts of tests/hosts, one folder each (host_folder.hpp): what the hook would do at the start and the
// stop of its guest is plan.txt, what check finds for that guest is check.txt, what the installer would
// change with the options in 'install' is install.txt. A folder that is put there is found. UPDATE_GOLDEN=1
// writes the texts anew; then read the difference.
//
// Tests of C++ are left where a folder says too little: whoever hangs, refuses or reacts to a write is no
// fact that a file holds; and a single decision is told by the smallest machine (plan_test.cpp), a single
// finding by one change of a healthy host (check_*_cases.cpp).
#include "base/text.hpp"
#include "catch.hpp"
#include "changes/container_install_plan.hpp"
#include "check/facts.hpp"
#include "check/show_checks.hpp"
#include "commands/arguments.hpp"
#include "golden.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "host_folder.hpp"
#include "install_hosts.hpp"

#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

std::string print_function(const PlannedFunction& function)
{
    std::string text = "  " + to_string(function.address()) + " " + to_string(function.role);
    if (!function.hostpci.empty()) text += " " + function.hostpci;
    if (function.goes_to_guest) text += " -> vfio-pci";
    if (!function.in_scope) text += " (left as it is)";
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
        for (const auto& bridge : card.held_in_reset)
            text += "  the reset bit of " + to_string(bridge) + " is cleared first\n";
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
    auto facts = read_check_facts(machine);
    facts.asked = {vmid};
    return print_findings(run_checks(facts), facts.names);
}

Options options_of(const std::string& line)
{
    std::vector<std::string> words{"pve-gpu-install"};
    for (const auto word : split(trim(line), ' ')) words.emplace_back(word);
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    return parse_arguments(static_cast<int>(argv.size()), argv.data()).options;
}

InstallPlan plan_install(const FakeSystem& machine, const Options& options)
{
    const auto survey = survey_host(machine, {options.vms, options.host && options.vms.empty()});
    const bool for_vms = options.host || !options.vms.empty();
    auto plan =
        for_vms ? make_install_plan(survey, {options.vms, options.host, options.blacklist}) : InstallPlan();
    for (const auto vmid : options.containers)
        add_container_changes(survey, survey_container(machine, vmid),
                              {options.gpus, options.replace_hard_coded, options.mig}, {}, plan);
    return plan;
}

std::string install_plan_of(const FakeSystem& machine, const Options& options)
{
    try {
        return print_plan(plan_install(machine, options));
    } catch (const Error& error) {
        return "refused: " + std::string(error.what()) + "\n";
    }
}

} // namespace

TEST_CASE("each host has the texts that its folder shows", "[host][golden]")
{
    for (const auto& name : host_names()) {
        DYNAMIC_SECTION(name)
        {
            const auto files = read_host_folder(hosts_directory + name);
            FakeSystem machine;
            load_host(machine, files);
            const auto show = [&](const std::string& text, const std::string& file) {
                check_golden("/hosts/" + name + "/" + file, text);
            };
            if (files.contains("install")) {
                show(install_plan_of(machine, options_of(files.at("install"))), "install.txt");
            } else {
                show(plans_of(machine, guest_of(files)), "plan.txt");
                show(check_of(machine, guest_of(files)), "check.txt");
            }
            CHECK(machine.writes().empty());
        }
    }
}

TEST_CASE("the plan as JSON says what changes and whether a reboot is needed", "[install]")
{
    const auto json_of = [](const std::string& name) {
        FakeSystem machine;
        load_host(machine, read_host_folder(hosts_directory + name));
        return nlohmann::json(install_json(plan_install(machine, {.vms = {101}})));
    };
    const auto json = json_of("install_host_only"), nothing = json_of("install_already_installed");
    CHECK(json["schema"] == "pve-gpu-hook/install/1");
    CHECK(json["changed"] == true);
    CHECK(json["reboot_needed"] == true);
    CHECK(nothing["changed"] == false);
    CHECK(nothing["reboot_needed"] == false);
}
