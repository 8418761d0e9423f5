// Where the installer talks with the administrator. Messages of trouble go through System::say.
#pragma once

#include "check/screen.hpp"

#include <string>
#include <string_view>

namespace pvegpu {

class Console {
public:
    Console() = default;
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;
    virtual ~Console() = default;

    virtual void print(std::string_view text) = 0;          // standard output, as it is
    virtual void progress(std::string_view line) = 0;       // one line, to standard error
    virtual void program_says(std::string_view /*line*/) {} // the same, of a program that is running
    virtual bool can_ask() const = 0;                       // somebody sits at a terminal
    virtual bool ask(std::string_view question) = 0;        // true for yes
    virtual Screen screen() const = 0;                      // of standard output
    // Standard input to its end, or so many bytes of it; empty where there is none.
    virtual std::string input(std::size_t /*most*/) { return ""; }
};

} // namespace pvegpu
