// For tests with real files, real processes and real time: they wait for facts, never for a time to pass.
#pragma once

#include "base/error.hpp"
#include "machine/linux_system.hpp"

#include <csignal>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu::testing {

// A directory that goes away with all that is in it.
class TempDirectory {
public:
    TempDirectory();
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;
    ~TempDirectory();

    // What is below it, by a path that starts with a slash: as LinuxSystem puts its root before a path.
    std::string operator()(const std::string& path = "") const { return path_ + path; }
    void file(const std::string& path, std::string_view text) const; // makes the directories above
    void link(const std::string& path, const std::string& target) const;
    void fifo(const std::string& path) const; // a write to it blocks in open(2) until there is a reader
    void device(const std::string& path, unsigned major,
                unsigned minor) const; // a character device; needs root
    // Who waits in open(2) for this fifo's reader goes on, and so does who comes later: the reader stays
    // until the directory is gone.
    void release_writer(const std::string& path);
    std::string text(const std::string& path) const; // "" if it is absent

private:
    std::string path_;
    std::vector<int> readers_;
};

// A LinuxSystem blocks signals for the whole process; the test program wants them back.
class SignalsAsBefore {
public:
    SignalsAsBefore() { sigprocmask(SIG_SETMASK, nullptr, &before_); }
    SignalsAsBefore(const SignalsAsBefore&) = delete;
    SignalsAsBefore& operator=(const SignalsAsBefore&) = delete;
    ~SignalsAsBefore() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

// The real system over a directory.
class RealSystem {
public:
    TempDirectory root;

private:
    SignalsAsBefore signals_;

public:
    LinuxSystem system{"test", root()};
};

// A process that runs `body` and ends with what it returns, 99 if it throws. Killed when it goes out of
// scope.
class TestProcess {
public:
    explicit TestProcess(const std::function<int()>& body);
    TestProcess(const TestProcess&) = delete;
    TestProcess& operator=(const TestProcess&) = delete;
    ~TestProcess();

    pid_t pid() const { return pid_; }
    void send(int signal) const { kill(pid_, signal); }
    int wait(); // its exit status, or 128 and the signal that killed it

private:
    pid_t pid_;
    bool ended_ = false;
};

// What an action throws: the reason (it must throw), the errno and the text (0 and empty if it does not).
ErrorKind reason_of(const std::function<void()>& action);
int errno_of(const std::function<void()>& action);
std::string text_of_error(const std::function<void()>& action);

// Looks again and again until it is so; false if it is not within seconds.
bool eventually(const std::function<bool()>& fact);

// The process does nothing more until somebody kills it.
[[noreturn]] void wait_for_the_end();

std::vector<pid_t> children_of(pid_t parent);   // those that have not ended
char process_state(pid_t pid);                  // 'S', 'Z', ...; 0 if there is no such process
std::vector<std::string> open_files(pid_t pid); // where its descriptors point
bool path_exists(const std::string& path);
std::string read_to_end(int descriptor);

// Says why a test cannot run here; true if so.
bool lacks_root(std::string_view what_needs_it);

} // namespace pvegpu::testing
