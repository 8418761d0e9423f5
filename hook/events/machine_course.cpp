// What happens to a machine, and what is done about it.
#include "base/lists.hpp"
#include "base/text.hpp"
#include "events/machine.hpp"
#include "machine/paths.hpp"
#include "run/host_shutdown.hpp"

#include <unistd.h>

namespace pvegpu {
namespace {

// `cont` is refused until QEMU's main loop has carried out the reset that was asked for before it.
constexpr Milliseconds reset_is_done_within{5'000};
constexpr Milliseconds between_tries{50};

constexpr Milliseconds systemd_answers_within{2'000};

std::string reason_or(const std::optional<Hindrance>& hindrance, const std::string& text)
{
    return hindrance ? hindrance->advice.fact : text;
}

} // namespace

QmpMessage Machine::execute(std::string_view command, const Json& arguments)
{
    if (!monitor_) throw Error(ErrorKind::failed, {"QEMU's monitor is not connected"});
    return monitor_->execute(command, arguments, [this](const QmpMessage& event) { happened(event); });
}

bool Machine::set_action(const char* reboot)
{
    return execute("set-action", {{"reboot", reboot}}).kind == QmpMessage::Kind::answer;
}

bool Machine::is_halted()
{
    return execute("query-status").text("status") == "shutdown";
}

// --- what happens: done with files alone, for the event is taken from the connection only when all of this
// is written down ---

void Machine::happened(const QmpMessage& event)
{
    if (event.kind != QmpMessage::Kind::event) return;
    const Look runs{{}, false, true};
    if (event.name == "RESUME" && course_.halt != Halt::none) perform(looked(course_, runs, clock_now()));
    // A second one, when QEMU is ended, tells nothing.
    if (event.name == "SHUTDOWN" && course_.halt == Halt::none) halted(event);
}

void Machine::halted(const QmpMessage& shutdown)
{
    const bool by_reset = is_reset(shutdown) && course_.armed;
    Halted how{by_reset, {}, true};
    hindrance_.reset();
    if (by_reset) {
        const auto system = open_();
        hindrance_ = hindrance_now(*system, true);
        if (hindrance_) how.hindrance = hindrance_->kind;
        if (!hindrance_ || hindrance_->kind == Hindrance::Kind::setup)
            how.within_limit = within_limit(*system);
    }
    tried_to_run_ = false;
    if (contains(machine_halted(course_, how, clock_now()), Action::ask_restart)) ask();
    if (course_.halt == Halt::left) look_at_ = {}; // it is disarmed at once
    note();
    tell_of_halt(shutdown.text("reason") == "guest-reset" ? "the guest has rebooted by itself"
                                                          : "it was reset",
                 by_reset);
}

void Machine::tell_of_halt(const std::string& what, bool by_reset)
{
    if (course_.halt == Halt::restart) tell(Severity::info, what + ": Proxmox starts it anew");
    if (course_.halt == Halt::stopping)
        tell(Severity::info, what + " while it is being stopped, and is not started anew");
    if (course_.halt == Halt::left && by_reset)
        tell(Severity::error, what + ", and was started anew too often before ('guest_reboot' in " +
                                  quote(paths::settings) + "): it stays off; 'qm start " +
                                  std::to_string(vmid_) + "' starts it, then look at its console");
}

bool Machine::within_limit(System& system) const
{
    const auto request = read_request(system, vmid_);
    if (request && request->text == print_request(qemu_)) return true; // an earlier reader has counted it
    auto limit = default_settings().guest_reboot;
    try {
        limit = read_settings(system).for_guest(vmid_).guest_reboot;
    } catch (const Error&) { // the start will tell of them
    }
    try {
        return count_restart(system, vmid_, limit);
    } catch (const Error& error) { // that it cannot be written down is no reason to leave it off
        system.say(Severity::warning, error.what());
        return true;
    }
}

std::optional<Hindrance> Machine::hindrance_now(System& system, bool with_host) const
{
    auto found = find_hindrance(system, vmid_, qemu_);
    if (!found && with_host && host_is_shutting_down(system, systemd_answers_within))
        found = Hindrance{Hindrance::Kind::elsewhere, {"the host is shutting down"}};
    return found;
}

// `query-backup` is of Proxmox's QEMU. What it says counts besides the guest's lock: a backup may have been
// begun by another program.
bool Machine::backup_runs()
{
    if (!backups_are_known_) return false;
    const auto answer = execute("query-backup");
    backups_are_known_ = answer.kind == QmpMessage::Kind::answer;
    return answer.text("status") == "active";
}

// --- doing it ---

void Machine::attempt(const Actions& actions)
{
    try {
        perform(actions);
    } catch (const Error& error) {
        failed(error);
    }
}

void Machine::perform(const Actions& actions)
{
    for (const auto action : actions) {
        if (action == Action::ask_restart) ask();
        if (action == Action::take_back) take_back();
        if (action == Action::arm) arm();
        if (action == Action::disarm) disarm();
        if (action == Action::run_again) run_again();
    }
}

// A stop that was noted between our look and our request has not seen it, so it is looked for once more.
void Machine::ask()
{
    const auto system = open_();
    try {
        ask_for_restart(*system, vmid_, qemu_);
    } catch (const Error& error) {
        system->say(Severity::error, error.what());
        if (course_.halt == Halt::restart) course_.halt = Halt::resume; // it cannot be asked for
        return;
    }
    const auto since = find_hindrance(*system, vmid_, qemu_);
    if (!since || since->kind != Hindrance::Kind::stop) return;
    take_back();
    course_.halt = Halt::stopping;
}

void Machine::take_back()
{
    const auto system = open_();
    try {
        take_back_request(*system, vmid_);
    } catch (const Error& error) {
        system->say(Severity::error, error.what());
    }
}

void Machine::arm()
{
    manager_.keep(monitor_->descriptor());
    course_.armed = true;
    note(); // who comes after us must know of it
    course_.sure = set_action("shutdown");
    if (course_.sure) return;
    course_.armed = false;
    course_.refuses = true;
    manager_.forget();
}

void Machine::disarm()
{
    set_action("reset"); // a QEMU that refuses it has never been armed
    course_.armed = false;
    manager_.forget();
}

void Machine::run_again()
{
    tried_to_run_ = true;
    set_action("reset");
    course_.armed = false;
    execute("system_reset");
    const auto deadline = clock_now() + reset_is_done_within;
    while (execute("cont").kind != QmpMessage::Kind::answer && clock_now() < deadline)
        monitor_->wait({wakers_.signals()}, between_tries);
    if (is_halted()) return; // once more at the next look
    machine_runs(course_);
    take_back();
    manager_.forget();
    // Not armed again at once: SeaBIOS resets the machine once more by itself when it comes up after a reset.
    look_at_ = clock_now() + between_looks_at_it;
    note();
    tell(Severity::warning,
         "it has rebooted by itself and goes on with the card as it is, which was not recovered: " +
             reason_or(hindrance_, "Proxmox did not start it anew") + "; 'qm reboot " +
             std::to_string(vmid_) + "' recovers it");
}

// --- telling it ---

void Machine::tell(Severity severity, const std::string& line)
{
    open_()->say(severity, line);
    last_told_ = line;
    manager_.status(printable(line));
}

// What becomes of a reset, once for each answer. While it is being stopped nobody asks.
void Machine::tell_of_resets()
{
    if (course_.halt != Halt::none || (!course_.armed && !course_.refuses && !hindrance_)) return;
    std::string line = "when the guest reboots by itself it is started anew, and its card recovered";
    if (course_.refuses)
        line = "its QEMU does not know 'set-action', so when the guest reboots by itself the card stays as "
               "it is; "
               "it needs QEMU 6.0 or newer";
    else if (!course_.armed)
        line =
            "when the guest reboots by itself the card stays as it is for now: " + reason_or(hindrance_, "") +
            (hindrance_ && !hindrance_->advice.remedy.empty() ? "; " + hindrance_->advice.remedy : "");
    if (line == last_told_ || (hindrance_ && hindrance_->kind == Hindrance::Kind::stop)) return;
    tell(course_.refuses ? Severity::warning : Severity::info, line);
}

// A note that cannot be written is not worth a guest.
void Machine::note()
{
    using enum ReaderState;
    const auto running = course_.refuses ? refused : course_.armed ? armed : waits;
    const auto state = course_.halt == Halt::none      ? running
                       : course_.halt == Halt::restart ? restart
                       : course_.halt == Halt::resume  ? resume
                                                       : stopped;
    const auto system = open_();
    const auto self = find_process(*system, getpid());
    const auto text = print_reader_note(
        {qemu_, self.value_or(Process{}), state, state == waits ? reason_or(hindrance_, "") : ""});
    if (text == last_note_) return;
    try {
        system->replace_file(paths::reader_note(vmid_), text);
        last_note_ = text;
    } catch (const Error& error) {
        system->say(Severity::warning, error.what());
    }
}

} // namespace pvegpu
