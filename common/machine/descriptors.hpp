// Descriptors: one that closes itself, reading one to its end, and all those that a child process must not
// keep of its parent.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string>
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

// Adds to `text`, up to the end of the file or until it has that many bytes. Returns an errno.
inline int read_up_to(std::size_t bytes, const Descriptor& file, std::string& text)
{
    if (file.failed()) return errno;
    while (text.size() < bytes) {
        std::array<char, 65536> buffer; // NOLINT(*-member-init): filled by read
        const ssize_t count =
            ::read(file.number(), buffer.data(), std::min(buffer.size(), bytes - text.size()));
        if (count < 0) return errno;
        if (count == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return 0;
}

// Closes every descriptor from `first` on, but `kept`. False if the kernel refuses.
inline bool close_descriptors(unsigned first, int kept)
{
    const auto number = static_cast<unsigned>(kept);
    const bool below_closed = number <= first || close_range(first, number - 1, 0) == 0;
    return below_closed && close_range(number + 1, ~0U, 0) == 0;
}

// As if `root` were /: no link and no ".." leads out of it. Linux 5.6; glibc has no name for it.
inline int open_in_root(int root, const std::string& path, int flags, std::uint64_t resolve = 0)
{
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | resolve;
    return static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

// The plain system call: glibc 2.36 declares pidfd_open without C linkage for C++.
inline int open_pidfd(pid_t pid)
{
    return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

} // namespace pvegpu
