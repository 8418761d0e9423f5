#include "hook/report.hpp"

#include "base/overloaded.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

using Json = nlohmann::ordered_json;

template <typename List> Json addresses(const List& list)
{
    Json result = Json::array();
    for (const auto& address : list) result.push_back(to_string(address));
    return result;
}

template <typename Value> Json or_null(const std::optional<Value>& value)
{
    return value ? Json(*value) : Json(nullptr);
}

Json guest_json(GuestKind kind)
{
    switch (kind) {
    case GuestKind::vm:
        return "vm";
    case GuestKind::container:
        return "ct";
    case GuestKind::unknown:
        break;
    }
    return nullptr;
}

std::string hex_class(std::uint32_t class_code)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%06x", class_code);
    return text.data();
}

Json hostpci_json(const PassedDevice& device)
{
    return {{"key", device.key},
            {"host", addresses(device.taken().functions)},
            {"mapping", or_null(device.mapping)},
            {"mdev", or_null(device.mdev)},
            {"driver", device.keep_driver ? "keep" : "vfio"}};
}

Json function_json(const PlannedFunction& function)
{
    const auto& facts = function.facts;
    return {{"address", to_string(facts.address)},
            {"id", device_id(facts)},
            {"class", hex_class(facts.class_code)},
            {"role", to_string(function.role)},
            {"hostpci", function.hostpci.empty() ? Json(nullptr) : Json(function.hostpci)},
            {"driver", facts.driver.empty() ? Json(nullptr) : Json(facts.driver)},
            {"iommu_group", facts.iommu_group ? addresses(facts.group_members) : Json(nullptr)},
            {"flr", facts.flr()},
            {"reset_methods", facts.reset_methods}};
}

Json card_json(const CardPlan& card)
{
    Json functions = Json::array();
    for (const auto& function : card.functions) functions.push_back(function_json(function));
    return {{"port", card.card.port ? Json(to_string(*card.card.port)) : Json(nullptr)},
            {"functions", functions}};
}

Json node_json(const NodeFacts& node)
{
    Json number = nullptr;
    if (node.number) number = std::to_string(node.number->major) + ":" + std::to_string(node.number->minor);
    return {{"path", node.wanted.node.path},
            {"from", node.wanted.from},
            {"present", node.present},
            {"number", number}};
}

Json refused_json(const std::optional<Refusal>& refused)
{
    if (!refused) return nullptr;
    return {{"reason", to_string(refused->reason)}, {"detail", to_string(refused->advice)}};
}

Json step_json(const StepReport& step)
{
    return {{"op", step.op}, {"target", step.target}};
}

const std::vector<CardPlan>& cards_of(const Plan& plan)
{
    static const std::vector<CardPlan> none;
    if (const auto* const recovery = std::get_if<RecoveryPlan>(&plan)) return recovery->cards;
    if (const auto* const stop = std::get_if<ReturnPlan>(&plan)) return stop->cards;
    return none;
}

Json head(const PhasePlan& phase, std::string_view schema)
{
    Json json{{"schema", schema},
              {"vmid", phase.request.vmid},
              {"guest", guest_json(phase.guest)},
              {"phase", to_string(phase.request.phase)},
              {"refused", refused_json(phase.refused)}};
    auto& warnings = json["warnings"] = Json::array();
    for (const auto& warning : phase.all_warnings()) warnings.push_back(to_string(warning));
    auto& devices = json[phase.guest == GuestKind::container ? "nodes" : "hostpci"] = Json::array();
    if (const auto* const recovery = std::get_if<RecoveryPlan>(&phase.plan))
        for (const auto& device : recovery->devices) devices.push_back(hostpci_json(device));
    if (const auto* const nodes = std::get_if<NodePlan>(&phase.plan))
        for (const auto& node : nodes->nodes) devices.push_back(node_json(node));
    auto& cards = json["cards"] = Json::array();
    for (const auto& card : cards_of(phase.plan)) cards.push_back(card_json(card));
    return json;
}

// Text from a device or a file may be no UTF-8; it is shown with replacements rather than not at all.
std::string print(const Json& json)
{
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace

std::string to_string(RunOutcome outcome)
{
    switch (outcome) {
    case RunOutcome::recovered:
        return "recovered";
    case RunOutcome::nothing_to_do:
        return "nothing-to-do";
    case RunOutcome::warned:
        return "warned";
    case RunOutcome::refused:
        return "refused";
    case RunOutcome::failed:
        break;
    }
    return "failed";
}

int Report::exit_status() const
{
    return outcome == RunOutcome::refused || outcome == RunOutcome::failed ? 1 : 0;
}

std::vector<Advice> PhasePlan::all_warnings() const
{
    auto all = std::visit(Overloaded{[](const RecoveryPlan& one) { return one.warnings; },
                                     [](const NodePlan& one) { return one.warnings; },
                                     [](const auto&) { return std::vector<Advice>(); }},
                          plan);
    append(all, warnings);
    return all;
}

std::vector<StepReport> PhasePlan::steps() const
{
    return std::visit(Overloaded{[](std::monostate) { return std::vector<StepReport>(); },
                                 [](const auto& one) { return planned_steps(one); }},
                      plan);
}

std::string plan_json(const PhasePlan& plan)
{
    Json json = head(plan, "pve-gpu-hook/plan/1");
    auto& steps = json["steps"] = Json::array();
    for (const auto& step : plan.steps()) steps.push_back(step_json(step));
    return print(json);
}

std::string why_nothing(const PhasePlan& phase)
{
    if (const auto* const nodes = std::get_if<NodePlan>(&phase.plan))
        return nodes->nodes.empty() ? "its configuration names no device node of a GPU"
                                    : "its device nodes are there";
    const auto* const plan = std::get_if<RecoveryPlan>(&phase.plan);
    if (plan == nullptr) return to_string(phase.request.phase) + " has nothing to put back";
    if (plan->settings.strategy == Strategy::off) return "its 'strategy' is 'off'";
    if (plan->cards.empty()) return "its hostpci lines name no GPU that is passed whole";
    for (const auto& card : plan->cards)
        if (!card.card.port) return "its GPU is left to Proxmox: " + card.card.left_alone_because;
    return "its GPU has a working reset of its own ('strategy': 'auto')";
}

std::string plan_text(const PhasePlan& plan)
{
    const auto steps = plan.steps();
    if (steps.empty() && !plan.refused) return "nothing to do: " + why_nothing(plan) + "\n";
    std::string text;
    for (const auto& step : steps) text += step.op + " " + step.target + "\n";
    return text;
}

std::string report_json(const Report& report)
{
    Json json = head(report.plan, "pve-gpu-hook/report/1");
    json["outcome"] = to_string(report.outcome);
    json["error"] = report.error.empty() ? Json(nullptr) : Json(report.error);
    json["started"] = rfc3339(report.started);
    json["elapsed_ms"] = report.elapsed.count();
    auto& steps = json["steps"] = Json::array();
    for (const auto& one : report.steps) {
        Json step = step_json(one);
        step["result"] = to_string(one.result);
        step["elapsed_ms"] = one.elapsed.count();
        step["detail"] = one.detail;
        steps.push_back(std::move(step));
    }
    return print(json);
}

std::string summary(const Report& report)
{
    const auto time = std::to_string(report.elapsed.count()) + " ms";
    if (report.steps.empty()) return "";
    if (const auto* const nodes = std::get_if<NodePlan>(&report.plan.plan)) {
        const bool complete = std::all_of(nodes->nodes.begin(), nodes->nodes.end(),
                                          [](const NodeFacts& node) { return node.present; });
        return complete ? "prepared the container's device nodes in " + time : "";
    }
    const auto* const plan = std::get_if<RecoveryPlan>(&report.plan.plan);
    if (plan == nullptr) return "";
    const bool reset = std::any_of(report.steps.begin(), report.steps.end(), [](const StepReport& one) {
        return one.op == "reset" && one.result == StepResult::done;
    });
    std::string text =
        (reset ? "recovered the GPU in " : "found the GPU again, but did not reset it, in ") + time + ":";
    for (const auto& card : plan->cards)
        for (const auto& function : card.functions)
            if (card.is_cycled() && function.role == Role::gpu)
                text += " '" + to_string(function.address()) + "'";
    return text;
}

std::string rfc3339(std::int64_t seconds_since_1970)
{
    const auto when = static_cast<time_t>(seconds_since_1970);
    tm parts{};
    gmtime_r(&when, &parts);
    std::array<char, 32> text{};
    strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

} // namespace pvegpu
