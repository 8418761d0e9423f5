#include "containers/prepare.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "containers/node_state.hpp"
#include "containers/nvidia_nodes.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <map>

namespace pvegpu {
namespace {

std::string seconds(Milliseconds time)
{
    return std::to_string(time.count() / 1000) + " s";
}

// The last line of a program's output says most.
std::string last_line(const std::string& text)
{
    std::string line;
    for (LineReader lines(text); lines.next();)
        if (!is_blank(lines.line())) line = trim(lines.line());
    return line;
}

class Preparation {
public:
    Preparation(System& system, const LxcConfig& config, const Settings& settings, Report& report)
        : system_(system), config_(config), settings_(settings), report_(report),
          end_(system.now() + settings.timeouts.nodes)
    {
    }

    void run()
    {
        auto& plan = report_.plan;
        for (const auto& warning : plan.warnings) system_.say(Severity::warning, warning);
        if (loads_something() && !take_lock()) return;
        for (const auto& step : plan.node_steps) perform(step);
        for (auto& facts : plan.nodes) look_again(facts);
        warn_of_stale_numbers();
        say_what_is_missing();
    }

private:
    Milliseconds left() const
    {
        return std::max(Milliseconds(0), std::chrono::duration_cast<Milliseconds>(end_ - system_.now()));
    }

    void warn(const std::string& text)
    {
        report_.plan.warnings.push_back(text);
        system_.say(Severity::warning, text);
    }

    bool loads_something() const
    {
        const auto& steps = report_.plan.node_steps;
        return std::any_of(steps.begin(), steps.end(), [](const Step& step) { return step.op == Op::load; });
    }

    // A driver that is loaded takes every GPU that has none: also a VM's that is just being recovered.
    bool take_lock()
    {
        if (system_.lock(std::string(paths::lock), left())) return true;
        warn("the recovery of a VM's GPU has not ended within " + seconds(settings_.timeouts.nodes) +
             " ('timeouts': 'nodes'), so no driver is loaded and no node is made");
        for (const auto& step : report_.plan.node_steps)
            report_.steps.push_back({step, StepResult::not_reached, {}, ""});
        return false;
    }

    void perform(const Step& step)
    {
        StepReport done{step, StepResult::done, {}, ""};
        const TimePoint begin = system_.now();
        if (step.op == Op::load) load(done);
        if (step.op == Op::create) create(done);
        if (step.op == Op::wait) wait(done);
        done.elapsed = std::chrono::duration_cast<Milliseconds>(system_.now() - begin);
        report_.steps.push_back(std::move(done));
    }

    void run_program(const std::vector<std::string>& arguments, StepReport& step)
    {
        const auto time = left();
        if (time.count() == 0) {
            step.result = StepResult::not_reached;
            return;
        }
        const auto outcome = system_.run(arguments, time);
        if (outcome.done()) return;
        step.result = outcome.refused() ? StepResult::refused : StepResult::timed_out;
        step.detail = outcome.refused() ? printable(last_line(outcome.text), 200)
                                        : "did not end within " + seconds(time) + " and was killed";
        warn("'" + join(arguments, " ") + "' " +
             (outcome.refused() ? "failed (" + std::to_string(outcome.error_number) + ")" +
                                      (step.detail.empty() ? "" : ": " + step.detail)
                                : step.detail));
    }

    // -b: what the administrator has blacklisted stays away, whoever asks for it.
    void load(StepReport& step)
    {
        run_program({std::string(paths::modprobe_program), "-b", step.step.name}, step);
    }

    // One run of the program makes several nodes.
    void create(StepReport& step)
    {
        const auto node = parse_gpu_node(step.step.name);
        const auto arguments = node ? nvidia_modprobe_arguments(system_, *node) : std::vector<std::string>();
        if (arguments.empty()) {
            step.result = StepResult::skipped;
            step.detail = "the driver does not offer it";
            return;
        }
        const auto [known, is_new] = created_.try_emplace(join(arguments, " "), step.result);
        if (is_new) run_program(arguments, step);
        if (is_new) known->second = step.result;
        step.result = known->second;
    }

    void wait(StepReport& step)
    {
        const auto node = parse_gpu_node(step.step.name);
        const auto there = [&] { return node && node_is_there(system_, *node); };
        if (!system_.wait_until(there, left())) step.result = StepResult::timed_out;
    }

    void look_again(NodeFacts& facts)
    {
        if (facts.present) return;
        facts.number = system_.device_number(facts.wanted.node.path);
        const auto& steps = report_.steps;
        facts.present = std::any_of(steps.begin(), steps.end(), [&](const StepReport& one) {
            return one.step.op == Op::wait && one.step.name == facts.wanted.node.path &&
                   one.result == StepResult::done;
        });
        if (facts.present) came_.push_back(facts);
    }

    // Of the nodes that were there the plan has told already.
    void warn_of_stale_numbers()
    {
        for (const auto& warning : stale_number_warnings(config_, came_, read_kernel_devices(system_)))
            warn(warning);
    }

    bool needs_missing_mount() const
    {
        const auto& nodes = report_.plan.nodes;
        return std::any_of(nodes.begin(), nodes.end(), [](const NodeFacts& facts) {
            return !facts.present && !facts.wanted.optional && !facts.wanted.by_proxmox;
        });
    }

    void say_what_is_missing()
    {
        std::vector<std::string> missing;
        for (const auto& step : report_.steps)
            if (step.step.op == Op::wait && step.result != StepResult::done)
                missing.push_back(quote(step.step.name));
        if (missing.empty()) return;
        const auto text = join(missing, ", ") + (missing.size() == 1 ? " is" : " are") + " not there after " +
                          seconds(settings_.timeouts.nodes) + " ('timeouts': 'nodes')";
        if (settings_.on_timeout == OnTimeout::fail) {
            for (const auto& line : state_of_nodes(system_)) system_.say(Severity::warning, line);
            throw Error(Reason::timed_out, text + "; see the state of the host above");
        }
        warn(text + "; the start goes on" +
             (needs_missing_mount() ? ", and LXC will refuse a mount that is not 'optional'"
                                    : ", and the container may lack them") +
             "; the state of the host follows");
        for (const auto& line : state_of_nodes(system_)) warn(line);
    }

    System& system_;
    const LxcConfig& config_;
    const Settings& settings_;
    Report& report_;
    TimePoint end_;
    std::map<std::string, StepResult> created_; // by command
    std::vector<NodeFacts> came_;
};

} // namespace

Plan plan_container(const SysReader& reader, const Situation& guest, const Settings& settings,
                    std::int64_t wall_clock)
{
    const auto nodes = read_node_situation(reader, guest.wanted, guest.request.vmid, wall_clock);
    auto plan = make_container_plan(guest.request, guest.container, nodes, settings);
    plan.warnings.insert(plan.warnings.begin(), guest.warnings.begin(), guest.warnings.end());
    return plan;
}

void prepare_container(System& system, const Situation& guest, const SettingsFile& settings, Report& report)
{
    const auto wishes = settings.for_guest(guest.request.vmid);
    report.plan = plan_container(system, guest, wishes, system.wall_clock());
    if (report.plan.refused) {
        for (const auto& warning : report.plan.warnings) system.say(Severity::warning, warning);
        throw Error(report.plan.refused->reason, report.plan.refused->detail);
    }
    Preparation(system, guest.container, wishes, report).run();
}

} // namespace pvegpu
