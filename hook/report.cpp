#include "hook/report.hpp"

#include "base/enum_names.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/overloaded.hpp"
#include "base/problem_json.hpp"
#include "pci/function_json.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace pvegpu {
namespace {

Json hostpci_json(const PassedDevice& device)
{
    return {{"key", device.key},
            {"host", device.taken().functions},
            {"mapping", or_null(device.mapping)},
            {"mdev", or_null(device.mdev)},
            {"driver", device.keep_driver ? "keep" : "vfio"}};
}

Json card_json(const CardPlan& card)
{
    Json functions = Json::array();
    for (const auto& function : card.functions)
        functions.push_back(function_json(function.facts, function.hostpci));
    return {{"port", or_null(card.card.port)}, {"functions", functions}};
}

Json node_json(const NodeFacts& node)
{
    return {{"path", node.wanted.node.path},
            {"from", node.wanted.from},
            {"present", node.present},
            {"number", node.number ? Json(to_string(*node.number)) : Json()}};
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
              {"vmid", phase.guest == GuestKind::instance ? Json() : Json(phase.request.vmid)},
              {"guest", phase.guest == GuestKind::unknown ? Json() : Json(Guest{.kind = phase.guest}.type())},
              {"phase", to_string(phase.request.phase)},
              {"refused", refused_json(phase.refused)}};
    if (phase.guest == GuestKind::instance) json["instance"] = phase.request.instance;
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

// "212 ms", "3.1 s"
std::string in_words(Milliseconds time)
{
    constexpr long tenth = 100, second = 1000;
    const auto count = time.count();
    if (count < second) return std::to_string(count) + " ms";
    return std::to_string(count / second) + "." + std::to_string(count % second / tenth) + " s";
}

std::vector<PciAddress> recovered_gpus(const RecoveryPlan& plan)
{
    std::vector<PciAddress> gpus;
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (card.is_cycled() && function.role == Role::gpu) gpus.push_back(function.address());
    return gpus;
}

// " (Intel Arc A310)"
std::string in_brackets(const DeviceNames& names, const PciAddress& address)
{
    const auto name = device_name(names, address);
    return name.empty() ? "" : " (" + name + ")";
}

// The same of the first GPU of the card below a port.
std::string in_brackets(const RecoveryPlan& plan, const DeviceNames& names, const std::string& port)
{
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (function.role == Role::gpu && card.card.port && to_string(*card.card.port) == port)
                return in_brackets(names, function.address());
    return "";
}

// "card below '0000:00:1c.0' (Intel Arc A310): wake 1 ms, unbind 3 ms, reset 104 ms": steps of a kind
// together.
std::vector<std::string> times_of_cards(const RecoveryPlan& plan, const DeviceNames& names,
                                        const std::vector<StepReport>& steps)
{
    std::vector<std::string> lines;
    for (auto one = steps.begin(); one != steps.end();) {
        const auto is_other_card = [&](const StepReport& step) { return step.card != one->card; };
        const auto end = std::find_if(one, steps.end(), is_other_card);
        std::string line;
        while (one != end) {
            const auto next =
                std::find_if(one, end, [&](const StepReport& step) { return step.op != one->op; });
            Milliseconds time{0};
            for (auto step = one; step != next; ++step) time += step->elapsed;
            if (line.empty())
                line = "card below '" + one->card + "'" + in_brackets(plan, names, one->card) + ": ";
            else
                line += ", ";
            line += one->op + " " + in_words(time);
            one = next;
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

} // namespace

std::string to_string(RunOutcome outcome)
{
    static constexpr std::array names{
        EnumName{"recovered", RunOutcome::recovered}, EnumName{"nothing-to-do", RunOutcome::nothing_to_do},
        EnumName{"warned", RunOutcome::warned}, EnumName{"refused", RunOutcome::refused},
        EnumName{"failed", RunOutcome::failed}};
    return name_of(names, outcome);
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
    if (plan->cards.empty())
        return phase.guest == GuestKind::instance ? "none of its devices is a whole GPU"
                                                  : "no hostpci line passes a whole GPU through";
    for (const auto& card : plan->cards)
        if (!card.card.port) return "the hook does not reset its GPU: " + card.card.left_alone_because;
    return "its GPU has a working reset of its own ('strategy': 'auto')";
}

std::vector<const Function*> gpus_of(const PhasePlan& plan)
{
    std::vector<const Function*> gpus;
    for (const auto& card : cards_of(plan.plan))
        for (const auto& function : card.functions)
            if (function.role == Role::gpu) gpus.push_back(&function.facts);
    return gpus;
}

std::string plan_heading(const PhasePlan& plan, const DeviceNames& names)
{
    // Whoever is passed over by a setting is warned of.
    const bool unused =
        std::holds_alternative<RecoveryPlan>(plan.plan) && !plan.refused && plan.all_warnings().empty();
    std::string text;
    for (const auto& card : cards_of(plan.plan))
        for (const auto& function : card.functions) {
            if (function.role != Role::gpu) continue;
            text += plan.id().name() + ": " + with_name(names, function.address());
            if (!function.hostpci.empty()) text += " (" + function.hostpci + ")";
            if (card.card.port) text += ", below port " + to_string(*card.card.port);
            text += unused ? "; nothing uses it\n" : "\n";
        }
    return text;
}

std::string plan_text(const PhasePlan& plan)
{
    const auto steps = plan.steps();
    if (steps.empty() && !plan.refused) return "nothing to do: " + why_nothing(plan) + "\n";
    std::string text;
    for (const auto& step : steps) text += step.op + " " + step.target + "\n";
    return text;
}

bool Report::concerns_nothing() const
{
    const auto* const nodes = std::get_if<NodePlan>(&plan.plan);
    return outcome == RunOutcome::nothing_to_do && cards_of(plan.plan).empty() &&
           (nodes == nullptr || nodes->nodes.empty());
}

std::string report_json(const Report& report)
{
    Json json = head(report.plan, "pve-gpu-hook/report/1");
    json["outcome"] = to_string(report.outcome);
    json["error"] = report.errors.empty() ? Json(nullptr) : problem_json(report.errors.front());
    for (std::size_t i = 1; i < report.errors.size(); ++i)
        json["more_errors"].push_back(problem_json(report.errors[i]));
    json["started"] = rfc3339(report.started);
    json["elapsed_ms"] = report.elapsed.count();
    auto& steps = json["steps"] = Json::array();
    for (const auto& one : report.steps) {
        Json step = step_json(one);
        step["result"] = to_string(one.result);
        step["elapsed_ms"] = one.elapsed.count();
        step["detail"] = one.detail;
        step["card"] = or_null(one.card);
        steps.push_back(std::move(step));
    }
    return print(json);
}

std::vector<std::string> summary(const Report& report, const DeviceNames& names)
{
    const auto time = in_words(report.elapsed);
    if (report.steps.empty()) return {};
    if (const auto* const nodes = std::get_if<NodePlan>(&report.plan.plan)) {
        if (!std::ranges::all_of(nodes->nodes, &NodeFacts::present)) return {};
        return {"prepared the container's device nodes in " + time};
    }
    const auto* const plan = std::get_if<RecoveryPlan>(&report.plan.plan);
    if (plan == nullptr) return {};
    const bool reset = std::ranges::any_of(report.steps, [](const StepReport& one) {
        return one.op == "reset" && one.result == StepResult::done;
    });
    const auto gpus = recovered_gpus(*plan);
    std::vector<std::string> lines;
    if (gpus.size() > 1) lines = times_of_cards(*plan, names, report.steps);
    const auto what = gpus.size() > 1 ? std::to_string(gpus.size()) + " GPUs" : "the GPU";
    std::string text = reset ? "recovered " + what + " in "
                             : what + " rescanned, NOT reset (it may still show no picture), in ";
    text += time;
    if (gpus.size() == 1) text += ": " + quote(gpus.front()) + in_brackets(names, gpus.front());
    lines.push_back(std::move(text));
    return lines;
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
