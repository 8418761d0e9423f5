#include "hook/phases.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/inside.hpp"
#include "containers/prepare.hpp"
#include "events/notes.hpp"
#include "events/reader_unit.hpp"
#include "hook/chained_hook.hpp"
#include "hook/report.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/delegated_ids.hpp"
#include "proxmox/vm_args.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/return_to_host.hpp"
#include "run/host_shutdown.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace pvegpu {
namespace {

// It answers from memory, but a host that boots or goes down, or starts all its guests, is busy: on one whose
// processors had three times the work that they can do, 5 s were too short at times.
constexpr Milliseconds systemd_answers_within{15'000};

// What is read once in a run, when it begins. What cannot be read stops who needs it, and nobody else: a stop
// puts back what it can.
template <typename Value> struct ReadOnce {
    std::optional<Value> value;
    std::optional<Error> failure;

    const Value& get() const
    {
        if (failure) throw Error(*failure);
        return *value;
    }
};

template <typename Read> auto read_once(Read read) -> ReadOnce<decltype(read())>
{
    try {
        return {read(), std::nullopt};
    } catch (const Error& error) {
        return {std::nullopt, error};
    }
}

struct Inputs {
    ReadOnce<GuestFile> guest;
    ReadOnce<SettingsFile> settings;
};

Inputs read_inputs(const SysReader& reader, const Request& request)
{
    return {read_once([&] { return read_guest_file(reader, request); }),
            read_once([&] { return read_settings(reader); })};
}

// Only a VM with a GPU has notes. Throws Error(not_found) for a guest that has none and is not there.
GuestKind kind_of(const Inputs& inputs, bool has_notes)
{
    if (has_notes) return GuestKind::vm;
    const auto& [file, failure] = inputs.guest;
    if (failure && failure->reason() == ErrorKind::not_found) throw Error(*failure);
    return file ? file->kind : GuestKind::unknown;
}

VmFile vm_of(const SysReader& reader, const GuestFile& file)
{
    return {file.path, read_guest_config(reader, file.text)};
}

// Of one without a GPU's node nothing is said, but that it loses one.
ContainerGuest container_of(const SysReader& reader, const GuestFile& file, unsigned vmid)
{
    ContainerGuest guest{vmid, read_lxc_config(reader, file.text), {}, {}};
    guest.wanted = wanted_nodes(guest.config);
    for (const auto& warning : guest.config.warnings)
        if (!guest.wanted.empty() || warning.loses_device) guest.warnings.push_back(warning.in(file.path));
    if (!guest.wanted.empty()) append(guest.warnings, not_delegated(reader, guest.config));
    return guest;
}

std::vector<Holder> current_holders(const SysReader& reader, const GuestState& state)
{
    std::vector<Function> functions;
    for (const auto& known : state.functions)
        if (auto function = read_function(reader, known.address)) functions.push_back(std::move(*function));
    return find_holders(reader, functions, std::nullopt); // the guest's own use counts here
}

struct Stop {
    std::optional<GuestState> state; // nothing: no start has left notes
    ReturnPlan plan;
    std::vector<Advice> warnings;
};

Stop plan_stop(const SysReader& reader, const Request& request, const Inputs& inputs)
{
    Stop stop{read_guest_state(reader, request.vmid), {}, {}};
    if (!stop.state) return stop;
    if (request.phase == Phase::pre_stop) {
        stop.plan = plan_keep_awake(*stop.state);
    } else if (const auto holders = current_holders(reader, *stop.state); !holders.empty()) {
        stop.warnings.push_back({"the GPU stays as it is: " + describe(holders.front()) + " has it by now"});
    } else {
        stop.plan = plan_return_to_host(reader, request, *stop.state, inputs.settings.get());
    }
    return stop;
}

// --- a run ---

class OwnPart {
public:
    OwnPart(System& system, const Inputs& inputs, Report& report)
        : system_(system), inputs_(inputs), report_(report), request_(report.plan.request)
    {
    }

    void run()
    {
        if (request_.phase == Phase::pre_start) return pre_start();
        if (request_.phase == Phase::post_start) return post_start();
        stop();
    }

private:
    void warn(const Advice& advice)
    {
        system_.say(Severity::warning, to_string(advice));
        report_.plan.warnings.push_back(advice);
    }

    void pre_start()
    {
        const auto& file = inputs_.guest.get();
        report_.plan.guest = file.kind;
        if (const auto noted = paths::stop_note(request_.vmid); system_.exists(noted))
            system_.remove_file(noted);
        const auto& settings = inputs_.settings.get();
        if (file.kind == GuestKind::vm)
            return recover_gpu(system_, request_, vm_of(system_, file), settings,
                               report_.plan.plan.emplace<RecoveryPlan>(), report_.steps);
        const auto guest = container_of(system_, file, request_.vmid);
        auto& plan = report_.plan.plan.emplace<NodePlan>();
        if (!guest.wanted.empty() || !guest.warnings.empty())
            prepare_container(system_, guest, settings.for_guest(request_.vmid), plan, report_.steps);
    }

    // Looks, and changes nothing but our own notes.
    void post_start()
    {
        auto state = read_guest_state(system_, request_.vmid);
        system_.remove_file(paths::claim(request_.vmid));
        report_.plan.guest = kind_of(inputs_, state.has_value());
        if (report_.plan.guest == GuestKind::container) look_at_container();
        start_reader();
        if (!state) return;
        const auto holders = current_holders(system_, *state);
        const auto* opened = find_by(holders, Holder::Kind::vfio, &Holder::kind);
        if (opened == nullptr)
            return warn({"the VM runs, but QEMU has not opened the GPU that was prepared for it",
                         "if it uses a mapping, Proxmox has taken another of its devices"});
        state->holder = opened->pid;
        state->holder_program = opened->program;
        save_guest_state(system_, *state);
    }

    void look_at_container()
    {
        const auto wanted = wanted_nodes(read_lxc_config(system_, inputs_.guest.get().text));
        if (wanted.empty()) return;
        const auto inside = look_inside(system_, request_.vmid, wanted);
        for (const auto& warning : inside_warnings(inside, nvidia_module_version(system_), request_.vmid))
            warn(warning);
        if (!inside.seen)
            warn({cannot_inspect, "see 'pve-gpu-install verify --ct " + std::to_string(request_.vmid) + "'"});
    }

    // Before anything that takes time: from here on a reset of the guest is no reason to start it again.
    void note_stop_of_vm()
    {
        try {
            note_stop(system_, request_.vmid);
        } catch (const std::exception& error) {
            warn({error.what()});
        }
    }

    // Where `args` has our monitor, its reader. The start does not wait for it.
    void start_reader()
    {
        if (report_.plan.guest != GuestKind::vm || !inputs_.guest.value ||
            !has_monitor(read_vm_args(inputs_.guest.value->text).live))
            return;
        if (const auto problem = pvegpu::start_reader(system_, request_.vmid)) warn(*problem);
    }

    void stop()
    {
        if (request_.phase == Phase::pre_stop) note_stop_of_vm();
        const bool has_notes = read_guest_state(system_, request_.vmid).has_value();
        report_.plan.guest = kind_of(inputs_, has_notes);
        if (!has_notes) return;
        const bool after = request_.phase == Phase::post_stop;
        const auto stop = plan_stop(system_, request_, inputs_);
        if (after && stop.plan.gives_cards_back() && host_is_shutting_down(system_, systemd_answers_within))
            return;
        for (const auto& warning : stop.warnings) warn(warning);
        if (!stop.warnings.empty()) return;
        report_.plan.plan = stop.plan;
        if (!after) return put_back_settings(system_, stop.plan, report_.steps);
        return_to_host(system_, request_, stop.plan, report_.plan.warnings, report_.steps);
        system_.remove_file(paths::claim(request_.vmid));
        system_.remove_file(paths::guest_state(request_.vmid));
    }

    System& system_;
    const Inputs& inputs_;
    Report& report_;
    const Request request_;
};

// --- how it ended ---

RunOutcome outcome_of(Phase phase, ErrorKind reason)
{
    using enum ErrorKind;
    constexpr std::array refusals{in_use,    stuck_writer,   sriov_parent,
                                  not_found, invalid_config, needs_power_cycle};
    return phase == Phase::pre_start && contains(refusals, reason) ? RunOutcome::refused : RunOutcome::failed;
}

RunOutcome good_outcome(const Report& report)
{
    if (!report.plan.all_warnings().empty()) return RunOutcome::warned;
    const bool did_something = std::ranges::any_of(
        report.steps, [](const StepReport& step) { return step.result != StepResult::skipped; });
    return did_something ? RunOutcome::recovered : RunOutcome::nothing_to_do;
}

// Steps of a start that was refused, as never reached.
void list_unreached(Report& report)
{
    const auto* const plan = std::get_if<RecoveryPlan>(&report.plan.plan);
    if (plan == nullptr || !report.steps.empty()) return;
    for (const auto& card : plan->cards) append_unreached(report.steps, card.steps);
}

void add_error(System& system, Report& report, const std::exception& error)
{
    report.errors.push_back(problem_of(error));
    system.say(Severity::error, error.what());
}

// Does `work` and puts into the report how it ended. False if it failed.
template <typename Work> bool run_reported(System& system, Report& report, Work work)
{
    const TimePoint begin = system.now();
    const auto finish = [&] {
        report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
    };
    try {
        work();
        finish();
        report.outcome = good_outcome(report);
        if (report.steps.empty()) return true;
        const auto names = device_names(system, gpus_of(report.plan));
        for (const auto& line : summary(report, names)) system.say(Severity::info, line);
        return true;
    } catch (const std::exception& error) {
        finish();
        report.outcome = outcome_of(report.plan.request.phase, reason_of(error));
        if (report.outcome == RunOutcome::refused)
            report.plan.refused = Refusal{reason_of(error), advice_of(error)};
        list_unreached(report);
        add_error(system, report, error);
        return false;
    }
}

bool run_own_part(System& system, const Inputs& inputs, Report& report)
{
    return run_reported(system, report, [&] { OwnPart(system, inputs, report).run(); });
}

bool run_other_hook(System& system, const Inputs& inputs, Report& report)
{
    try {
        const auto& request = report.plan.request;
        run_chained_hook(system, request, [&] { return inputs.settings.get().for_guest(request.vmid); });
        return true;
    } catch (const std::exception& error) {
        report.outcome = RunOutcome::failed;
        add_error(system, report, error);
        return false;
    }
}

Report begin_report(const System& system, const Request& request)
{
    Report report;
    report.plan.request = request;
    report.started = system.wall_clock();
    return report;
}

Plan make_phase_plan(const SysReader& reader, const Inputs& inputs, PhasePlan& phase)
{
    const auto& request = phase.request;
    if (request.phase != Phase::pre_start) {
        auto stop = plan_stop(reader, request, inputs);
        phase.guest = kind_of(inputs, stop.state.has_value());
        phase.warnings = std::move(stop.warnings);
        phase.refused = stop.plan.refused;
        if (!stop.state || request.phase == Phase::post_start) return {};
        return stop.plan;
    }
    const auto& file = inputs.guest.get();
    const auto& settings = inputs.settings.get();
    phase.guest = file.kind;
    if (file.kind == GuestKind::vm) {
        auto plan = plan_recovery(reader, request, vm_of(reader, file), settings);
        phase.refused = plan.refused;
        return plan;
    }
    auto plan =
        plan_container(reader, container_of(reader, file, request.vmid), settings.for_guest(request.vmid));
    phase.refused = plan.refused;
    return plan;
}

} // namespace

// Most guests of a host have no GPU, and a host may start a hundred at once: theirs is one file.
void save_report(System& system, const Report& report)
{
    const auto vmid = report.plan.request.vmid;
    const auto of_phase = paths::report(vmid, to_string(report.plan.request.phase));
    try {
        const auto json = report_json(report);
        system.replace_file(paths::report(vmid), json);
        if (!report.concerns_nothing())
            system.replace_file(of_phase, json);
        else if (system.exists(of_phase)) // of a time when the guest had one
            system.remove_file(of_phase);
    } catch (const std::exception& error) {
        system.say(Severity::warning, std::string("the report is lost: ") + error.what());
    }
}

PhasePlan plan_phase(const SysReader& reader, const Request& request)
{
    PhasePlan phase;
    phase.request = request;
    try {
        phase.plan = make_phase_plan(reader, read_inputs(reader, request), phase);
    } catch (const Error& error) {
        phase.guest = GuestKind::unknown;
        phase.refused = Refusal{error.reason(), error.advice()};
    }
    return phase;
}

Report run_own_part(System& system, const Request& request)
{
    auto report = begin_report(system, request);
    run_own_part(system, read_inputs(system, request), report);
    return report;
}

PhasePlan plan_for_instance(const SysReader& reader, const Request& request, const VmFile& vm)
{
    PhasePlan phase{request, GuestKind::instance, {}, {}, {}};
    try {
        auto plan = plan_recovery(reader, request, vm, read_settings(reader));
        phase.refused = plan.refused;
        phase.plan = std::move(plan);
    } catch (const Error& error) {
        phase.refused = Refusal{error.reason(), error.advice()};
    }
    return phase;
}

Report recover_for_instance(System& system, const Request& request, const VmFile& vm)
{
    auto report = begin_report(system, request);
    report.plan.guest = GuestKind::instance;
    run_reported(system, report, [&] {
        recover_gpu(system, request, vm, read_settings(system), report.plan.plan.emplace<RecoveryPlan>(),
                    report.steps);
    });
    return report;
}

// The guest's other hook comes first at its start and last at its stop, so that each finds the GPU as it
// would without us. What it has set up at the start it takes down at the stop, whatever becomes of our part.
Report run_phase(System& system, const Request& request)
{
    auto report = begin_report(system, request);
    const TimePoint begin = system.now();
    const auto inputs = read_inputs(system, request);
    const auto kind = inputs.guest.value ? inputs.guest.value->kind : GuestKind::unknown;
    system.log_for_guest(Guest{request.vmid, kind}.short_name());
    if (request.phase == Phase::pre_start) {
        if (run_other_hook(system, inputs, report)) run_own_part(system, inputs, report);
    } else {
        run_own_part(system, inputs, report);
        run_other_hook(system, inputs, report);
    }
    if (report.elapsed.count() == 0) // our own part, which the log has told of, did not run
        report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
    save_report(system, report);
    return report;
}

} // namespace pvegpu
