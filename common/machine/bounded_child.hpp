// A child process for what the kernel may never finish: writes to sysfs, reads of configuration space and of
// /etc/pve. The parent waits for an answer until a deadline and never for the child itself.
//
// Why a child: a task blocked in the PCI core cannot be killed, and Proxmox waits for the end of file on our
// standard output and error. So the child has its own session and has closed every inherited descriptor.
// Why one child for many operations: a fork each would cost more than most of the operations. A child that
// is stuck is left behind, and the next operation gets a new one.
#pragma once

#include "machine/child_tasks.hpp"
#include "machine/system.hpp"

namespace pvegpu {

// What such a child is called in /proc/PID/comm: one that a run has left behind is found by it.
inline constexpr const char* bounded_child_name = "pve-gpu-child";

class BoundedChild {
public:
    BoundedChild(); // forks; throws Error(failed)
    BoundedChild(const BoundedChild&) = delete;
    BoundedChild& operator=(const BoundedChild&) = delete;
    ~BoundedChild(); // the child ends when it sees the channel closed; nobody waits for it

    // Between two operations: whether the child has died. It speaks only when asked: what there is to read is
    // the end of the file.
    bool ended() const { return answers_within(Milliseconds(0)); }

    // After an operation that was given up: whether it ends in that time after all.
    bool answers_within(Milliseconds time) const;

    // If `cancel` (a descriptor, or -1) becomes readable, the wait ends early. After `still_running` the
    // object is of no more use, nor after a refusal that names a child: that one was killed, and nobody knows
    // how far it got.
    SysResult perform(const Task& task, Milliseconds timeout, int cancel);

private:
    int channel_ = -1;
    pid_t pid_ = 0;
};

} // namespace pvegpu
