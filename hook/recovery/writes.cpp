#include "recovery/writes.hpp"

#include "base/error.hpp"

#include <cerrno>

namespace pvegpu {

bool says_later(const SysResult& outcome)
{
    return outcome.refused() && (outcome.error_number == EAGAIN || outcome.error_number == EBUSY);
}

void RunContext::warn(const Advice& advice) const
{
    warnings.push_back(advice);
    system.say(Severity::warning, to_string(advice));
}

void throw_stuck(const SysResult& outcome, const std::string& path)
{
    throw Error(ErrorKind::stuck_write,
                {"write is stuck in the kernel (pid " + std::to_string(outcome.child) + ", at " +
                     (outcome.child_stack.empty() ? "an unknown place" : outcome.child_stack) +
                     "); nothing else was touched",
                 "if that process stays, reboot the host"},
                path);
}

SysResult write_checked(const RunContext& run, const std::string& path, std::string_view text,
                        Milliseconds timeout, unsigned retries)
{
    constexpr Milliseconds try_again_after{200};
    for (unsigned left = retries;; --left) {
        SysResult outcome = run.system.write(path, text, run.deadline.at_most(run.system, timeout));
        if (outcome.still_running()) throw_stuck(outcome, path);
        if (!says_later(outcome) || left == 0) return outcome;
        sleep_for(run, try_again_after);
    }
}

void sleep_for(const RunContext& run, Milliseconds time)
{
    run.system.wait_until([] { return false; }, time);
}

} // namespace pvegpu
