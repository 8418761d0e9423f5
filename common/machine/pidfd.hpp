// A descriptor that becomes readable when a process ends.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace pvegpu {

// The plain system call: glibc 2.36 declares pidfd_open without C linkage for C++.
inline int open_pidfd(pid_t pid)
{
    return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

} // namespace pvegpu
