#include "events/machine.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"

#include <array>
#include <csignal>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace pvegpu {
namespace {

// A QEMU that has answered nonsense, or nothing.
constexpr Milliseconds before_another_try{30'000};

constexpr Milliseconds config_is_there_within{1'000};

constexpr unsigned most_lines_at_once = 256; // then the signals and the clock are looked at

int open_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Where it cannot be watched a stop is seen at the next look.
int watch_stops()
{
    const int file = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (file >= 0)
        inotify_add_watch(file, std::string(paths::stop_notes).c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
    return file;
}

} // namespace

Wakers::Wakers() : signals_(open_signals()), stops_(watch_stops()) {}

bool Wakers::told_to_end()
{
    signalfd_siginfo signal{};
    ending_ = ending_ || ::read(signals_.number(), &signal, sizeof signal) > 0;
    return ending_;
}

bool Wakers::stop_is_noted()
{
    std::array<char, 4096> news; // NOLINT(*-member-init): that there is some is enough
    return ::read(stops_.number(), news.data(), news.size()) > 0;
}

Machine::Machine(const OpenSystem& open, unsigned vmid, const Process& qemu, ServiceManager& manager,
                 Wakers& wakers)
    : open_(open), vmid_(vmid), qemu_(qemu), manager_(manager), wakers_(wakers)
{
}

Machine::End Machine::read()
{
    const Descriptor process(open_pidfd(qemu_.pid));
    if (process.failed() || !lives(*open_(), qemu_)) return End::gone;
    for (;;) {
        const bool gone = is_readable(process.number()); // asked first: then all that it has said is there
        if (!gone && !monitor_ && clock_now() >= connect_at_ && !connect()) return End::not_ours;
        drain();
        if (gone) return End::gone;
        if (course_.halt == Halt::resume && !tried_to_run_) attempt({Action::run_again});
        if (wakers_.told_to_end()) {
            finish();
            return End::told_to_end;
        }
        if (wakers_.stop_is_noted() || clock_now() >= look_at_) {
            look_at_ = clock_now() + between_looks_at_it;
            look();
            manager_.alive();
            continue;
        }
        const auto until_then = std::chrono::ceil<Milliseconds>(look_at_ - clock_now());
        const std::vector<int> others{process.number(), wakers_.signals(), wakers_.stops()};
        if (monitor_)
            monitor_->wait(others, until_then);
        else
            wait_readable(others, until_then);
    }
}

void Machine::hear_the_rest()
{
    if (!take_kept_connection()) return;
    course_.armed = true; // only while it is armed is a connection kept
    remember();
    drain();
}

// --- the connection ---

bool Machine::take_kept_connection()
{
    const auto file = manager_.inherited();
    if (!file) return false;
    auto kept = std::make_unique<Monitor>(*file);
    if (kept->peer() != qemu_.pid) {
        manager_.forget();
        return false;
    }
    monitor_ = std::move(kept);
    return true;
}

// Another socket of its own may be no monitor at all: it is silent, and the next one is tried.
std::unique_ptr<Monitor> Machine::open_monitor() const
{
    std::optional<Error> trouble;
    for (const auto& path : own_sockets(*open_(), qemu_)) {
        try {
            if (auto monitor = Monitor::open(path, qemu_.pid)) return monitor;
        } catch (const Error& error) {
            trouble.emplace(error);
        }
    }
    if (trouble) throw Error(*trouble);
    return nullptr;
}

// False if it never was one of ours.
bool Machine::connect()
{
    try {
        if (!take_kept_connection()) monitor_ = open_monitor();
        if (!monitor_ && !connected_before_) return false;
        if (monitor_)
            begin();
        else
            connect_at_ = clock_now() + between_looks_at_it; // it is ending
    } catch (const Error& error) {
        failed(error);
    }
    return true;
}

void Machine::begin()
{
    connected_before_ = true;
    const auto config = open_()->read_within(paths::vm_config(vmid_), pve_file_bytes, config_is_there_within);
    course_.armed =
        !config.done() ||
        !ends_at_a_reset(parse_guest_config(config.text)); // by an earlier reader, for all we know
    course_.sure = false;
    remember();
    drain();
    look_at_ = {};
    if (!monitor_ || course_.halt != Halt::none || !is_halted()) return;
    course_.halt = Halt::left;
    tell(Severity::warning, "it has halted while nobody looked, and is left as it is; 'qm start " +
                                std::to_string(vmid_) + "' lets it run");
}

// What an earlier reader knew.
void Machine::remember()
{
    const auto system = open_();
    const auto known = read_reader_note(*system, vmid_);
    const auto request = read_request(*system, vmid_);
    const bool same = known && known->qemu == qemu_;
    course_.since = clock_now();
    course_.halt = Halt::none;
    if (same && known->state == ReaderState::resume)
        course_.halt = Halt::resume;
    else if (request && request->text == print_request(qemu_))
        course_.halt = Halt::restart;
    else if (same && known->state == ReaderState::stopped)
        course_.halt = Halt::left;
    tried_to_run_ = false;
}

void Machine::lose(const std::string& why)
{
    if (monitor_ && course_.armed) monitor_->say_and_forget("set-action", {{"reboot", "reset"}});
    monitor_.reset();
    manager_.forget();
    connected_before_ = true;
    connect_at_ = clock_now() + before_another_try;
    hindrance_ = Hindrance{Hindrance::Kind::unknown, {why}};
    if (course_.halt != Halt::none) return; // then it is ending
    course_.armed = false;
    tell_of_resets();
    note();
}

void Machine::failed(const Error& error)
{
    if (error.reason() == ErrorKind::interrupted)
        wakers_.end();
    else
        lose(error.advice().fact);
}

void Machine::drain()
{
    try {
        for (unsigned i = 0; i < most_lines_at_once && monitor_; ++i) {
            const auto message = monitor_->next();
            if (!message) break;
            happened(*message);
            monitor_->take();
        }
    } catch (const Error& error) {
        failed(error);
    }
    if (!monitor_ || !monitor_->ended()) return;
    monitor_.reset(); // QEMU is ending, as a rule
    manager_.forget();
    connect_at_ = clock_now() + between_looks_at_it;
}

void Machine::look()
{
    if (!monitor_) return;
    try {
        const auto system = open_();
        const bool may_arm = course_.halt == Halt::none && !(course_.armed && course_.sure);
        hindrance_ = hindrance_now(*system, may_arm);
        if (!hindrance_) forget_failed_stop(*system, vmid_, qemu_);
        if (!hindrance_ && backup_runs())
            hindrance_ = Hindrance{Hindrance::Kind::locked, {"it is being backed up"}};
        Look look{hindrance_ ? std::optional(hindrance_->kind) : std::nullopt, course_.halt != Halt::none,
                  read_request(*system, vmid_).has_value()};
        if (look.halted) look.halted = is_halted();
        perform(looked(course_, look, clock_now()));
        tell_of_resets();
        note();
    } catch (const Error& error) {
        failed(error);
    }
}

void Machine::finish()
{
    hindrance_ = Hindrance{Hindrance::Kind::unknown, {"its reader ends"}};
    const bool was_armed = course_.armed;
    if (monitor_) attempt(reader_ends(course_));
    if (was_armed && !course_.armed) tell_of_resets();
    drain();
    if (course_.halt == Halt::resume && monitor_) attempt({Action::run_again}); // a reset that came first
    if (course_.halt == Halt::none) open_()->remove_file(paths::reader_note(vmid_));
}

} // namespace pvegpu
