// Writes to sysfs as the steps make them: bounded, repeated where the kernel says "later", never believed.
#pragma once

#include "base/advice.hpp"
#include "machine/deadline.hpp"
#include "machine/system.hpp"
#include "recovery/journal.hpp"
#include "settings/settings.hpp"

#include <string>
#include <string_view>

namespace pvegpu {

// Attributes that take no lock a driver could hold; if they do not answer at once nothing will.
inline constexpr Milliseconds setting_within{5'000};

// What every step of a run needs.
struct RunContext {
    System& system;
    Journal& journal;
    Deadline deadline;
    unsigned vmid;
    std::vector<Advice>& warnings;

    void warn(const Advice& advice) const;
};

// Refused with EAGAIN or EBUSY: a lock of the bus was taken at that moment, by an open or a close of a vfio
// device for example; those last milliseconds.
bool says_later(const SysResult& outcome);

// Does not return a write that is still running: throws Error(stuck_write), which names the child and where
// the kernel holds it. One that says later is tried again `retries` times.
SysResult write_checked(const RunContext& run, const std::string& path, std::string_view text,
                        Milliseconds timeout, unsigned retries);

[[noreturn]] void throw_stuck(const SysResult& outcome, const std::string& path);

// Lets a minimum time of a standard pass.
void sleep_for(const RunContext& run, Milliseconds time);

} // namespace pvegpu
