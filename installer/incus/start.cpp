#include "incus/start.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "hook/phases.hpp"
#include "incus/taken_devices.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "recovery/guest_state.hpp"
#include "usage/holders.hpp"
#include "usage/instances.hpp"
#include "usage/open_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// A card that the second recovery has not brought to work a third seldom does; the reports of public use have
// none that needed more.
constexpr unsigned most_attempts = 3;

// QEMU pins all of the VM's memory for vfio before it is ready: minutes for hundreds of GiB.
constexpr Milliseconds starts_within{5 * 60 * 1000};
// After Incus' word that it has started: QEMU has the card open by then.
constexpr Milliseconds seen_open_within{5'000};

// Its daemon was killed between QEMU's start and its go: QEMU waits for ever.
bool is_half_started(const Instance& instance)
{
    return instance.status == "Running" && instance.setting("volatile.last_state.power") == "STOPPED";
}

std::vector<std::string> device_names_of(const GuestConfig& config)
{
    std::vector<std::string> names;
    for (const auto& line : config.hostpci)
        if (!contains(names, line.device)) names.push_back(line.device);
    return names;
}

std::string last_lines(const std::string& text, std::size_t most)
{
    std::vector<std::string> lines;
    for (LineReader reader(text); reader.next();)
        if (!is_blank(reader.line())) lines.emplace_back(trim(reader.line()));
    if (lines.size() > most) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
    return printable(join(lines, "; "), 600);
}

bool is_said(const std::string& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

// Why a recovery failed is told once, with what was to follow.
class ErrorsAreThrown : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;
    void say(Severity severity, std::string_view line) override
    {
        if (severity != Severity::error) ForwardingSystem::say(severity, line);
    }
};

class Start {
public:
    Start(System& system, const NewSystem& another, const InstanceName& name, const Tell& tell,
          StartedInstance& result)
        : system_(system), another_(another), name_(name), tell_(tell), result_(result)
    {
    }

    void run()
    {
        repair_instances(system_, another_, name_);
        for (unsigned attempt = 1;; ++attempt) {
            const auto instance = find_instance(system_, name_);
            require_stopped(system_, instance);
            recover(instance);
            const auto failure = start(instance);
            if (!failure) return look_at_it(instance);
            if (!failure->card || attempt == most_attempts) give_up(instance, *failure, attempt);
            system_.say(Severity::warning, name_.vm() + " did not start: " + failure->reason +
                                               "; its card is recovered once more");
        }
    }

private:
    void recover(const Instance& instance)
    {
        const auto own = another_();
        ErrorsAreThrown for_recovery(*own);
        result_.recoveries.push_back(recover_without_devices(system_, for_recovery, instance));
        const auto& report = result_.recoveries.back();
        save_report(system_, report);
        if (report.exit_status() == 0) return;
        const auto& problem = report.errors.front();
        throw Error(problem.reason,
                    {name_.vm() + " is not started: " + problem.advice.fact, problem.advice.remedy},
                    problem.where);
    }

    std::optional<StartFailure> start(const Instance& instance)
    {
        Daemon daemon(system_, instance.socket);
        tell_("starting " + name_.vm() + " ...");
        const auto answer =
            daemon.tell({"PUT", instance.path("/state"), R"({"action":"start","timeout":-1})"});
        if (answer.failed()) return failure_of(daemon, instance, answer.error);
        const auto end = daemon.wait(answer.operation, starts_within);
        using How = OperationEnd::How;
        if (end.how == How::goes_on)
            throw Error(
                ErrorKind::timed_out,
                {daemon.product() + " is at the start of " + name_.vm() + " for more than " +
                     in_seconds(starts_within),
                 "see '" + daemon.tool() + " operation list' and the kernel's log; it cannot be cancelled"});
        if (end.how == How::badly) return failure_of(daemon, instance, end.error);
        if (end.how == How::unknown && read_instance(daemon, name_).stopped())
            throw Error(ErrorKind::failed,
                        {daemon.product() + " ended while it started " + name_.vm() + ", which is stopped",
                         "start it again"});
        return std::nullopt;
    }

    [[noreturn]] void give_up(const Instance& instance, const StartFailure& failure, unsigned attempt) const
    {
        const auto fact = name_.vm() + " did not start" +
                          (attempt > 1 ? " " + std::to_string(attempt) + " times" : "") + ": " +
                          failure.reason;
        throw Error(ErrorKind::failed, {fact, "'pve-gpu-install check --incus " + name_.text() +
                                                  "' looks for the cause; 'pve-gpu-install check "
                                                  "--explain TEXT' says what a message means; '" +
                                                  instance.command("info", "--show-log") + "'"});
    }

    std::vector<Function> gpus() const
    {
        std::vector<Function> found;
        const auto* const plan = std::get_if<RecoveryPlan>(&result_.recoveries.back().plan.plan);
        if (plan == nullptr) return found;
        for (const auto& card : plan->cards)
            for (const auto& function : card.functions)
                if (function.role == Role::gpu && function.goes_to_guest)
                    if (auto now = read_function(system_, function.address()))
                        found.push_back(std::move(*now));
        return found;
    }

    // By which a start of somebody else's, and one after the guest's own reboot, are told from ours.
    void remember_qemu()
    {
        auto state = read_guest_state(system_, number_of(name_));
        if (!state || !result_.qemu) return;
        state->holder = result_.qemu;
        state->holder_program = program_of(system_, *result_.qemu);
        save_guest_state(system_, *state);
    }

    // "Success" does not say that it was our start, nor with which devices.
    void look_at_it(const Instance& before)
    {
        result_.started = true;
        const auto wanted = gpus();
        const auto has_it = [&] {
            for (const auto& holder : find_holders(system_, wanted, number_of(name_)))
                if (holder.kind == Holder::Kind::vfio && holder.instance == name_.text())
                    result_.qemu = holder.pid;
            return wanted.empty() || result_.qemu;
        };
        const bool seen = system_.wait_until(has_it, seen_open_within);
        if (seen) remember_qemu();
        const auto now = read_instance(DaemonReader(system_, before.socket), name_);
        if (is_half_started(now))
            throw Error(ErrorKind::failed,
                        {name_.vm() + " is half started: its QEMU waits for a word that does not come",
                         "'" + now.command("stop", "--force") + "' ends it; then start it again"});
        if (!seen && now.stopped())
            return system_.say(Severity::warning, name_.vm() + " had started, and has stopped again since");
        if (!seen)
            throw Error(ErrorKind::failed,
                        {name_.vm() + " runs, but its QEMU has not opened " + quote(wanted.front().address),
                         "see '" + now.command("config show", "--expanded") +
                             "': somebody has started it meanwhile, without the GPU"});
    }

    System& system_;
    const NewSystem& another_;
    const InstanceName& name_;
    const Tell& tell_;
    StartedInstance& result_;
};

std::vector<PciAddress> functions_of(const SysReader& reader, const Instance& instance)
{
    const auto all = list_functions(reader);
    std::vector<PciAddress> functions;
    for (const auto& line : as_guest_config(reader, instance).hostpci)
        for (const auto& host : line.hosts)
            std::ranges::copy_if(all, std::back_inserter(functions),
                                 [&](const PciAddress& one) { return host.matches(to_string(one)); });
    return functions;
}

// Neither at the VM nor at another that is being started with a device of it: that one's QEMU has not opened
// it yet.
void require_nobody_at_it(const SysReader& reader, const DaemonReader& daemon, const Instance& instance)
{
    const auto look = "see '" + daemon.tool() + " operation list'";
    const auto own = functions_of(reader, instance);
    for (const auto& name : in_operations(daemon)) {
        if (name == instance.name)
            throw Error(ErrorKind::in_use, {name.vm() + " is being started or changed right now", look});
        for (const auto& address : functions_of(reader, read_instance(daemon, name)))
            if (contains(own, address))
                throw Error(ErrorKind::in_use, {quote(address) + " is a device of " + name.vm() +
                                                    ", which is being started or changed right now",
                                                look});
    }
}

} // namespace

Request request_for(const InstanceName& name)
{
    return {number_of(name), Phase::pre_start, "", name.text()};
}

void require_stopped(const SysReader& reader, const Instance& instance)
{
    const auto name = instance.name.vm();
    if (!instance.is_vm)
        throw Error(ErrorKind::invalid_config,
                    {quote(instance.name.text()) + " is a container, which uses the GPU by the host's driver",
                     "'" + instance.command("start") + "' starts it"});
    const DaemonReader daemon(reader, instance.socket);
    const auto server = text_in(member(daemon.get("/1.0").metadata, "environment"), "server_name");
    if (!instance.location.empty() && instance.location != "none" && instance.location != server)
        throw Error(ErrorKind::not_found,
                    {name + " is on the member " + quote(instance.location), "start it there"});
    if (is_half_started(instance))
        throw Error(ErrorKind::in_use,
                    {name + " is half started: its QEMU waits for a word that does not come",
                     "'" + instance.command("stop", "--force") + "' ends it"});
    if (!instance.stopped())
        throw Error(ErrorKind::in_use, {name + " is not stopped (" + printable(instance.status) + ")",
                                        "stop it first, '" + instance.command("stop") + "'"});
    require_nobody_at_it(reader, daemon, instance);
    for (const auto& line : as_guest_config(reader, instance).hostpci)
        if (line.start_error)
            throw Error(ErrorKind::invalid_config,
                        {name + ": " + line.start_error->fact, line.start_error->remedy});
}

void repair_instances(System& system, const NewSystem& another, const InstanceName& name)
{
    const auto say_repaired = [&](const InstanceName& one) {
        system.say(Severity::warning,
                   "put back into " + one.vm() + " what an interrupted run had taken out of it");
    };
    if (give_back_what_was_left(system, name)) say_repaired(name);
    for (const auto& taken : read_taken(system)) {
        if (taken.name == name) continue;
        try {
            const auto own = another(); // its lock is held no longer than this
            if (!own->lock(paths::instance_lock(number_of(taken.name)), Milliseconds(0))) continue;
            if (give_back_what_was_left(*own, taken.name)) say_repaired(taken.name);
        } catch (const Error& error) {
            if (error.reason() == ErrorKind::interrupted) throw;
            system.say(Severity::warning, error.what());
        }
    }
}

Report recover_without_devices(System& system, System& for_recovery, const Instance& instance)
{
    const auto request = request_for(instance.name);
    const auto file = as_vm_file(system, instance);
    note_instance(system, instance.name);
    const auto planned = plan_for_instance(system, request, file);
    const auto* const plan = std::get_if<RecoveryPlan>(&planned.plan);
    if (planned.refused || plan == nullptr || (planned.steps().empty() && plan->search.empty()))
        return recover_for_instance(for_recovery, request, file); // nothing is changed by that
    take_devices(system, instance, device_names_of(file.config));
    auto report = recover_for_instance(for_recovery, request, file);
    try {
        give_back_what_was_left(system, instance.name);
    } catch (const Error& error) {
        if (error.reason() != ErrorKind::interrupted) throw;
        give_back_what_was_left(system, instance.name); // told once: now it goes on
        throw;
    }
    return report;
}

StartFailure failure_of(const DaemonReader& daemon, const Instance& instance, const std::string& error)
{
    if (is_said(error, "took too long to activate") || is_said(error, "no device found"))
        return {printable(error, 600), true};
    if (!is_said(error, "qemu")) return {printable(error, 600), false};
    // All that Incus tells of a QEMU that does not start is its command line.
    const auto log = daemon.get_file(instance.path("/logs/qemu.log")).value_or("");
    const auto said = last_lines(log, 3);
    if (said.empty()) return {printable(error, 600), false};
    return {"QEMU says: " + said, is_said(said, "vfio")};
}

void start_instance(System& system, const NewSystem& another, const InstanceName& name, const Tell& tell,
                    StartedInstance& result)
{
    const auto end_claim = [&] { system.remove_file(paths::claim(number_of(name))); };
    try {
        Start(system, another, name, tell, result).run();
    } catch (const Error&) {
        end_claim();
        throw;
    }
    end_claim();
}

} // namespace pvegpu
