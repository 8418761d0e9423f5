// Descriptors: one that closes itself, and all those that a child process must not keep of its parent.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace pvegpu {

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor()
    {
        if (number_ >= 0) close(number_);
    }
    int number() const { return number_; }
    bool failed() const { return number_ < 0; }

private:
    int number_;
};

// Closes every descriptor from `first` on, but `kept`. False if the kernel refuses.
inline bool close_descriptors(unsigned first, int kept)
{
    const auto number = static_cast<unsigned>(kept);
    const bool below_closed = number <= first || close_range(first, number - 1, 0) == 0;
    return below_closed && close_range(number + 1, ~0U, 0) == 0;
}

// The plain system call: glibc 2.36 declares pidfd_open without C linkage for C++.
inline int open_pidfd(pid_t pid)
{
    return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

} // namespace pvegpu
