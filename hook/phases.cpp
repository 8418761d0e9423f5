#include "hook/phases.hpp"

#include "containers/inside.hpp"
#include "containers/node_state.hpp"
#include "hook/chained_hook.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/read_pve_file.hpp"
#include "recovery/guest_state.hpp"
#include "recovery/power.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/return_to_host.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::vector<Holder> current_holders(const System& system, const GuestState& state)
{
    std::vector<Function> functions;
    for (const auto& known : state.functions)
        if (auto function = read_function(system, known.address)) functions.push_back(std::move(*function));
    std::vector<const Function*> pointers;
    pointers.reserve(functions.size());
    for (const auto& function : functions) pointers.push_back(&function);
    constexpr unsigned nobody = 0; // the guest's own use counts here
    return find_holders(system, pointers, nobody, system.wall_clock());
}

// Only a VM with a GPU has notes. Throws Error(not_found) for a guest that has none and is not there.
void note_kind(const System& system, Report& report, bool has_notes)
{
    report.plan.guest =
        has_notes ? GuestKind::vm : kind_of_guest(system, report.plan.request, pve_answers_within);
}

void warn(System& system, Report& report, std::string text)
{
    system.say(Severity::warning, text);
    report.plan.warnings.push_back(std::move(text));
}

void look_at_container(System& system, Report& report)
{
    const unsigned vmid = report.plan.request.vmid;
    const auto text = system.read_within(paths::ct_config(vmid), pve_file_bytes, pve_answers_within);
    if (!text.done()) return;
    const auto wanted = wanted_nodes(parse_lxc_config(text.text));
    if (wanted.empty()) return;
    const auto inside = look_inside(system, vmid, wanted);
    for (auto& warning : inside_warnings(inside, nvidia_module_version(system)))
        warn(system, report, std::move(warning));
    if (!inside.seen)
        warn(system, report,
             "the container could not be looked into, so nobody knows whether it has its device nodes; see "
             "'pve-gpu-install verify --ct " +
                 std::to_string(vmid) + "'");
}

// Looks, and changes nothing but our own notes.
void post_start(System& system, Report& report)
{
    const unsigned vmid = report.plan.request.vmid;
    auto state = read_guest_state(system, vmid);
    system.remove_file(paths::claim(vmid));
    note_kind(system, report, state.has_value());
    if (report.plan.guest == GuestKind::container) look_at_container(system, report);
    if (!state) return;
    const auto holders = current_holders(system, *state);
    const auto opened = std::find_if(holders.begin(), holders.end(),
                                     [](const Holder& holder) { return holder.kind == Holder::Kind::vfio; });
    if (opened == holders.end()) {
        warn(system, report,
             "the guest has started, and nothing has opened the GPU that was prepared for it; if it uses a "
             "mapping, Proxmox has taken another of its devices");
        return;
    }
    state->holder = opened->pid;
    state->holder_program = opened->program;
    save_guest_state(system, *state);
}

// A card that falls asleep when QEMU lets go of it may not wake again (D3cold).
void pre_stop(System& system, Report& report)
{
    const auto state = read_guest_state(system, report.plan.request.vmid);
    note_kind(system, report, state.has_value());
    if (!state) return;
    constexpr Milliseconds within{5'000}; // the guest has it open, so there is nothing to wake
    for (const auto& setting : state->power) keep_awake(system, setting.path, within);
}

// systemd's own word; a host without systemd is not shutting down as far as anybody can tell.
bool host_is_shutting_down(System& system)
{
    constexpr Milliseconds answers_within{5'000};
    return system.run({"/bin/systemctl", "is-system-running"}, answers_within).text.starts_with("stopping");
}

void post_stop(System& system, Report& report)
{
    const unsigned vmid = report.plan.request.vmid;
    const auto state = read_guest_state(system, vmid);
    note_kind(system, report, state.has_value());
    if (!state) return;
    if (host_is_shutting_down(system)) return;
    if (const auto holders = current_holders(system, *state); !holders.empty()) {
        warn(system, report, "the GPU stays as it is: " + describe(holders.front()) + " has it by now");
        return;
    }
    return_to_host(system, *state, report);
    system.remove_file(paths::claim(vmid));
    system.remove_file(paths::guest_state(vmid));
}

void chained(System& system, const Report& report)
{
    const auto& request = report.plan.request;
    run_chained_hook(system, request, read_settings(system).for_guest(request.vmid));
}

void ours(System& system, Report& report)
{
    switch (report.plan.request.phase) {
    case Phase::pre_start:
        report = recover_gpu(system, report.plan.request);
        return;
    case Phase::post_start:
        post_start(system, report);
        break;
    case Phase::pre_stop:
        pre_stop(system, report);
        break;
    case Phase::post_stop:
        post_stop(system, report);
        break;
    }
    report.outcome = report.plan.warnings.empty() ? RunOutcome::nothing_to_do : RunOutcome::warned;
}

template <typename Part> bool succeeds(System& system, Report& report, Part part)
{
    try {
        part(system, report);
        return true;
    } catch (const std::exception& error) {
        report.outcome = RunOutcome::failed;
        report.error += (report.error.empty() ? "" : "; ") + std::string(error.what());
        system.say(Severity::error, error.what());
        return false;
    }
}

// The guest's other hook comes first at its start and last at its stop, so that each finds the GPU as it
// would without us. What it has set up at the start it takes down at the stop, whatever becomes of our part.
void run(System& system, Report& report)
{
    if (report.plan.request.phase == Phase::pre_start) {
        if (succeeds(system, report, chained)) succeeds(system, report, ours);
    } else {
        succeeds(system, report, ours);
        succeeds(system, report, chained);
    }
}

void save_report(System& system, const Report& report)
{
    const auto& [vmid, phase, node] = report.plan.request;
    try {
        const auto json = report_json(report);
        system.replace_file(paths::report(vmid), json);
        system.replace_file(paths::report(vmid, to_string(phase)), json);
    } catch (const std::exception& error) {
        system.say(Severity::warning, std::string("the report is lost: ") + error.what());
    }
}

} // namespace

Report run_phase(System& system, const Request& request)
{
    Report report;
    report.plan.request = request;
    report.started = system.wall_clock();
    const TimePoint begin = system.now();
    run(system, report);
    report.elapsed = std::chrono::duration_cast<Milliseconds>(system.now() - begin);
    save_report(system, report);
    return report;
}

} // namespace pvegpu
