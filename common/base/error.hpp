// Why a run ends early: one of few reasons a caller can act on, with what, where and errno.
#pragma once

#include "base/advice.hpp"

#include <exception>
#include <string>

namespace pvegpu {

enum class ErrorKind {
    in_use,            // a VM, process, mount or interface uses a device that we would have to touch
    stuck_writer,      // somebody is stuck inside the kernel's PCI code; nothing can be removed or rescanned
    sriov_parent,      // the GPU has virtual functions; removing it would destroy them
    not_found,         // a named device, mapping or guest does not exist
    invalid_config,    // Proxmox itself would refuse this configuration
    needs_power_cycle, // the card answers nothing after every kind of reset
    timed_out,         // something did not end in time
    interrupted,       // SIGTERM: the task was stopped
    disturbed,         // somebody else's work on the PCI bus has undone ours; the whole card is tried again
    no_memory,         // the kernel has found no room for what came back
    stuck_write,       // a write of our own never came back from the kernel; no other may follow it
    failed             // the machine refused what was asked of it
};

// As CONTRACT.md spells them: "in-use", "stuck-writer", ...
std::string to_string(ErrorKind reason);

// What went wrong, part by part, as '--json' has it.
struct Problem {
    ErrorKind reason = ErrorKind::failed;
    Advice advice;     // the fact with errno in words
    std::string where; // a path, or empty
};

class Error : public std::exception {
public:
    // `where` is a path, or empty. The text is "where: fact (errno in words); remedy", without control
    // characters.
    Error(ErrorKind reason, const Advice& advice, const std::string& where = "", int error_number = 0);

    const char* what() const noexcept override { return text_.c_str(); }
    ErrorKind reason() const { return problem_.reason; }
    const Problem& problem() const { return problem_; }
    Advice advice() const; // the fact with where and errno
    int error_number() const { return error_number_; }

private:
    int error_number_;
    Problem problem_;
    std::string text_;
};

// What an Error says; any other exception (no memory left, a library's own) is failed, and a fact.
ErrorKind reason_of(const std::exception& error);
Advice advice_of(const std::exception& error);
Problem problem_of(const std::exception& error);

} // namespace pvegpu
