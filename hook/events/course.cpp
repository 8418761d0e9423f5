#include "events/course.hpp"

namespace pvegpu {
namespace {

using Kind = Hindrance::Kind;

// Of a reset that has halted the machine.
Halt halt_of(const Halted& how)
{
    if (how.hindrance == Kind::stop) return Halt::stopping;
    // Proxmox refuses a start while the guest is locked, and qmeventd keeps the machine while it is backed
    // up.
    if (how.hindrance == Kind::locked) return Halt::resume;
    if (how.hindrance == Kind::elsewhere || how.hindrance == Kind::unknown) return Halt::resume;
    // A changed setup is no reason to leave off what was armed a moment ago.
    return how.within_limit ? Halt::restart : Halt::left;
}

Actions look_at_running(const Course& course, const Look& look)
{
    const bool wanted = !look.hindrance && !course.refuses;
    if (wanted && !(course.armed && course.sure)) return {Action::arm};
    if (!wanted && course.armed) return {Action::disarm};
    return {};
}

} // namespace

Actions machine_halted(Course& course, const Halted& how, TimePoint now)
{
    course.since = now;
    course.halt = how.by_reset && course.armed ? halt_of(how) : Halt::left;
    if (course.halt == Halt::restart) return {Action::ask_restart};
    if (course.halt != Halt::resume) return {};
    // Where the lock is gone before qmeventd has asked whether the machine runs, it ends it: then it is
    // started.
    if (how.hindrance == Kind::locked) return {Action::ask_restart, Action::run_again};
    return {Action::run_again};
}

Actions looked(Course& course, const Look& look, TimePoint now)
{
    if (course.halt == Halt::none) return look_at_running(course, look);
    if (!look.halted) {
        const bool asked = course.halt == Halt::restart || course.halt == Halt::resume;
        machine_runs(course);
        return asked ? Actions{Action::take_back} : Actions{};
    }
    // Who resumes it while a backup keeps it (vm_resume in qemu-server's RunState.pm) resets it first.
    if (course.halt == Halt::left && course.armed) return {Action::disarm};
    const bool nobody_ends_it = now - course.since >= ended_within;
    if (course.halt == Halt::restart && !look.request_there) course.halt = Halt::stopping; // taken back
    if (course.halt == Halt::restart && nobody_ends_it) course.halt = Halt::resume;
    if (course.halt == Halt::stopping && nobody_ends_it && look.hindrance != Kind::stop)
        course.halt = Halt::resume; // that stop has failed
    return course.halt == Halt::resume ? Actions{Action::run_again} : Actions{};
}

Actions reader_ends(const Course& course)
{
    if (course.halt == Halt::resume) return {Action::run_again};
    return course.armed && course.halt == Halt::none ? Actions{Action::disarm} : Actions{};
}

void machine_runs(Course& course)
{
    course.halt = Halt::none;
}

} // namespace pvegpu
