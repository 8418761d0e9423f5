#include "containers/prepare.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/nvidia_nodes.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace pvegpu {
namespace {

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
    Preparation(System& system, const LxcConfig& config, const Settings& settings, NodePlan& plan,
                std::vector<StepReport>& steps)
        : system_(system), config_(config), settings_(settings), plan_(plan), steps_(steps),
          end_(system.now() + settings.timeouts.nodes)
    {
    }

    void run()
    {
        if (contains(plan_.steps, NodeStep::Kind::load, &NodeStep::kind) && !take_lock()) return;
        for (const auto& step : plan_.steps)
            run_step(system_, report_of(step), steps_, [&] { return perform(step); });
        std::vector<NodeFacts> came; // of those that were there the plan has told already
        for (auto& facts : plan_.nodes) {
            if (facts.present) continue;
            facts.number = system_.device_number(facts.wanted.node.path);
            facts.present = came_with_.contains(facts.wanted.node.path);
            if (facts.present) came.push_back(facts);
        }
        for (const auto& warning : stale_numbers(config_, came, read_kernel_devices(system_))) warn(warning);
        if (!missing_.empty()) say_what_is_missing();
    }

private:
    Milliseconds left() const
    {
        return std::max(Milliseconds(0), std::chrono::duration_cast<Milliseconds>(end_ - system_.now()));
    }

    void warn(const Advice& advice)
    {
        plan_.warnings.push_back(advice);
        system_.say(Severity::warning, to_string(advice));
    }

    // A driver that is loaded takes every GPU that has none: also a VM's that is just being recovered.
    bool take_lock()
    {
        if (system_.lock(std::string(paths::lock), left())) return true;
        warn({"the recovery of a VM's GPU has not ended within " + in_seconds(settings_.timeouts.nodes) +
              " ('timeouts': 'nodes'), so no driver is loaded and no device node is made"});
        append_unreached(steps_, plan_.steps);
        return false;
    }

    StepOutcome perform(const NodeStep& step)
    {
        if (step.kind == NodeStep::Kind::create) return create(step.target);
        if (step.kind == NodeStep::Kind::wait) return wait(step.target);
        // -b: what the administrator has blacklisted stays away, whoever asks for it.
        auto outcome = run_program({std::string(paths::modprobe_program), "-b", step.target});
        (outcome.result == StepResult::done ? loaded_ : not_loaded_).insert(step.target);
        return outcome;
    }

    // Nobody is left who would make it: the loading of its driver failed, or NVIDIA's own program did. Of a
    // node of DRI any driver that was loaded, or that has a GPU, may be the one.
    bool is_hopeless(const GpuNode& node) const
    {
        if (not_created_.contains(node.path)) return true;
        if (node.is_nvidia())
            return not_loaded_.contains("nvidia") || (node.is_uvm() && not_loaded_.contains("nvidia-uvm")) ||
                   (node.kind == NodeKind::nvidia_modeset && not_loaded_.contains("nvidia-modeset"));
        const auto makes_dri = [](const std::string& module) {
            return !module.starts_with("nvidia") || module == "nvidia-drm";
        };
        if (std::ranges::any_of(loaded_, makes_dri) || std::ranges::none_of(not_loaded_, makes_dri))
            return false;
        return not_loaded_.contains("nvidia-drm") ||
               !is_served(node, read_node_host(system_, {}, std::nullopt));
    }

    StepOutcome run_program(const std::vector<std::string>& arguments)
    {
        const auto time = left();
        if (time.count() == 0) return {StepResult::not_reached};
        const auto outcome = system_.run(arguments, time);
        if (outcome.done()) return {};
        const auto command = "'" + join(arguments, " ") + "' ";
        if (outcome.still_running()) {
            const auto detail = "did not end within " + in_seconds(time) + " and was killed";
            warn({command + detail});
            return {StepResult::timed_out, detail};
        }
        const auto detail = printable(last_line(outcome.text), 200);
        warn({command + "failed (" + std::to_string(outcome.error_number) + ")" +
              (detail.empty() ? "" : ": " + detail)});
        return {StepResult::refused, detail};
    }

    // One run of the program makes several nodes.
    StepOutcome create(const std::string& path)
    {
        const auto node = parse_gpu_node(path);
        const auto arguments = node ? nvidia_modprobe_arguments(system_, *node) : std::vector<std::string>();
        if (arguments.empty()) return {StepResult::skipped, "the driver does not offer it"};
        const auto [known, is_new] = created_.try_emplace(join(arguments, " "));
        StepOutcome outcome{known->second};
        if (is_new) {
            outcome = run_program(arguments);
            known->second = outcome.result;
        }
        if (outcome.result == StepResult::refused) not_created_.insert(path);
        return outcome;
    }

    StepOutcome wait(const std::string& path)
    {
        const auto node = parse_gpu_node(path);
        const auto there = [&] { return node && node_is_there(system_, *node); };
        const bool hopeless = node && is_hopeless(*node) && !there();
        if (hopeless || !system_.wait_until(there, left())) {
            missing_.push_back(quote(path));
            waited_ = waited_ || !hopeless;
            return hopeless ? StepOutcome{StepResult::skipped, "nothing is left that would make it"}
                            : StepOutcome{StepResult::timed_out};
        }
        came_with_.insert(path);
        return {};
    }

    void say_what_is_missing()
    {
        const auto text =
            join(missing_, ", ") + (missing_.size() == 1 ? " is" : " are") + " not there" +
            (waited_ ? " after " + in_seconds(settings_.timeouts.nodes) + " ('timeouts': 'nodes')"
                     : ", and not waited for, because what makes them failed");
        if (settings_.on_timeout == OnTimeout::fail) {
            for (const auto& line : state_of_nodes(system_)) system_.say(Severity::warning, line);
            throw Error(waited_ ? ErrorKind::timed_out : ErrorKind::failed,
                        {text, "see the state of the host above"});
        }
        const bool mount = std::ranges::any_of(plan_.nodes, [](const NodeFacts& facts) {
            return !facts.present && !facts.wanted.optional && !facts.wanted.by_proxmox;
        });
        warn({text + "; the start goes on" +
                  (mount ? ", and LXC will refuse a mount that is not 'optional'"
                         : ", and the container may lack them"),
              "the state of the host follows"});
        for (const auto& line : state_of_nodes(system_)) warn({line});
    }

    System& system_;
    const LxcConfig& config_;
    const Settings& settings_;
    NodePlan& plan_;
    std::vector<StepReport>& steps_;
    TimePoint end_;
    std::map<std::string, StepResult> created_; // by command
    std::set<std::string> loaded_, not_loaded_; // modules and aliases
    std::set<std::string> not_created_;         // paths
    std::vector<std::string> missing_;          // after all waiting
    bool waited_ = false;                       // for one of those at least
    std::set<std::string> came_with_;           // paths
};

// The lines of all containers as if one container had them: each node is brought once.
void collect(const SysReader& reader, unsigned vmid, ContainerGuest& all)
{
    GuestFile file;
    try {
        file = read_guest_file(reader, {.vmid = vmid});
    } catch (const Error& error) {
        if (error.reason() != ErrorKind::not_found) throw;
        return; // it was removed, or went to another node, since the list was made
    }
    if (file.kind != GuestKind::container) return;
    const auto config = read_lxc_config(reader, file.text);
    if (config.is_template) return;
    LxcConfig devices_only;
    for (auto& wanted : wanted_nodes(devices_only, config.devices_at_next_start())) {
        wanted.from = "container " + std::to_string(vmid) + ", " + wanted.from;
        const auto known = [&](const WantedNode& other) { return other.node.path == wanted.node.path; };
        if (std::ranges::none_of(all.wanted, known)) all.wanted.push_back(wanted);
    }
}

} // namespace

NodePlan plan_container(const SysReader& reader, const ContainerGuest& guest, const Settings& settings)
{
    const auto nodes = read_node_host(reader, guest.wanted, guest.vmid);
    return make_container_plan(guest, nodes, settings);
}

void prepare_container(System& system, const ContainerGuest& guest, const Settings& settings, NodePlan& plan,
                       std::vector<StepReport>& steps)
{
    plan = plan_container(system, guest, settings);
    for (const auto& warning : plan.warnings) system.say(Severity::warning, to_string(warning));
    if (plan.refused) throw Error(plan.refused->reason, plan.refused->advice);
    Preparation(system, guest.config, settings, plan, steps).run();
}

void prepare_nodes_at_boot(System& system)
{
    ContainerGuest all;
    for (const auto vmid : list_guests(system, paths::pve_ct_configs)) collect(system, vmid, all);
    if (all.wanted.empty()) return;
    NodePlan plan;
    std::vector<StepReport> steps;
    prepare_container(system, all, read_settings(system).for_everyone(), plan, steps);
    for (const auto& node : plan.nodes)
        system.say(Severity::info, "'" + node.wanted.node.path + "' " +
                                       (node.present ? "is there" : "is not there") + " (" +
                                       node.wanted.from + ")");
}

} // namespace pvegpu
