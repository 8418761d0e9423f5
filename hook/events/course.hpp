// What follows from what happens to a machine whose resets we were told to care for. Pure: the whole of the
// reader's judgement, without its doors.
#pragma once

#include "events/hindrance.hpp"
#include "machine/system.hpp"

#include <optional>
#include <vector>

namespace pvegpu {

// Why a machine does not run, as far as we know.
enum class Halt {
    none,
    restart,  // by a reset: Proxmox was asked to start it anew, once qmeventd has ended its QEMU
    resume,   // by a reset, and it must go on in this QEMU
    stopping, // by a reset, while somebody stops it: what they want happens
    left      // as it would be without us: it was shut down, it crashed, or it has reset itself too often
};

enum class Action {
    ask_restart, // make Proxmox's request
    take_back,   // our request, if it is there
    arm,         // QEMU halts the machine at a reset from here on
    disarm,      // it resets it, as it did before
    run_again    // disarm, reset, go on
};
using Actions = std::vector<Action>;

struct Course {
    // QEMU may halt at a reset because of us: from before it is told so until it has agreed to the opposite.
    bool armed = false;
    bool sure = false;    // this reader has told it so; else an earlier one may have
    bool refuses = false; // QEMU does not know how
    Halt halt = Halt::none;
    TimePoint since = {}; // of the halt

    bool operator==(const Course&) const = default;
};

// qmeventd ends a machine that has halted within milliseconds, unless a backup reads it (terminate_check in
// qemu-server's qmeventd.c). One that is still there after this waits for nobody.
inline constexpr Milliseconds ended_within{20'000};

struct Halted {
    bool by_reset = false;
    std::optional<Hindrance::Kind> hindrance = {};
    bool within_limit = true; // it was not started anew too often
};
Actions machine_halted(Course& course, const Halted& how, TimePoint now);

struct Look {
    std::optional<Hindrance::Kind> hindrance = {};
    bool halted = false;        // QEMU says "shutdown"; asked only of one that has halted
    bool request_there = false; // anybody's
};
Actions looked(Course& course, const Look& look, TimePoint now);

// The reader is to end.
Actions reader_ends(const Course& course);

// It runs again: by us, or somebody has resumed it.
void machine_runs(Course& course);

} // namespace pvegpu
