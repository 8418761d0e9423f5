// One VM's QEMU from the reader's side: its monitor, what follows from its events, and doing it.
#pragma once

#include "base/error.hpp"
#include "events/course.hpp"
#include "events/monitor.hpp"
#include "events/notes.hpp"
#include "events/service_manager.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pvegpu {

// A System is opened for what there is to do and closed again: its child process, which reads what may block,
// goes away with it.
using OpenSystem = std::function<std::unique_ptr<System>()>;

// A backup takes longer than this to begin reading, and so does a change of what high availability wants; it
// costs some small files and a command of QEMU's.
inline constexpr Milliseconds between_looks_at_it{5'000};

// What ends the reader's waiting: signals by which it is told to end, and stops that are noted.
class Wakers {
public:
    Wakers();

    int signals() const { return signals_.number(); }
    int stops() const { return stops_.number(); }
    bool told_to_end(); // stays so
    void end() { ending_ = true; }
    bool stop_is_noted(); // since the last time

private:
    Descriptor signals_, stops_;
    bool ending_ = false;
};

class Machine {
public:
    Machine(const OpenSystem& open, unsigned vmid, const Process& qemu, ServiceManager& manager,
            Wakers& wakers);

    enum class End { gone, told_to_end, not_ours };
    // Until QEMU has ended, or the reader is to, or QEMU has no monitor of our name.
    End read();

    // Of a QEMU that has ended: what an earlier reader's connection still holds of it.
    void hear_the_rest();

private:
    // machine.cpp: the connection, and waiting for what happens
    bool connect();
    bool take_kept_connection();
    std::unique_ptr<Monitor> open_monitor() const;
    void begin();
    void remember();
    void lose(const std::string& why);
    void failed(const Error& error);
    void drain();
    void look();
    void finish();

    // machine_course.cpp: what happens, and what is done about it
    void happened(const QmpMessage& event);
    void halted(const QmpMessage& shutdown);
    void tell_of_halt(const std::string& what, bool by_reset);
    bool within_limit(System& system) const;
    std::optional<Hindrance> hindrance_now(System& system, bool with_host) const;
    bool backup_runs();
    bool is_halted();
    void attempt(const Actions& actions);
    void perform(const Actions& actions);
    void ask();
    void take_back();
    void arm();
    void disarm();
    void run_again();
    bool set_action(const char* reboot);
    QmpMessage execute(std::string_view command, const Json& arguments = {});

    void tell(Severity severity, const std::string& line);
    void tell_of_resets();
    void note();

    const OpenSystem& open_;
    const unsigned vmid_;
    const Process qemu_;
    ServiceManager& manager_;
    Wakers& wakers_;
    std::unique_ptr<Monitor> monitor_;
    Course course_;
    std::optional<Hindrance> hindrance_; // as it was found last
    bool connected_before_ = false, backups_are_known_ = true, tried_to_run_ = false;
    TimePoint look_at_{}, connect_at_{};
    std::string last_told_, last_note_;
};

} // namespace pvegpu
