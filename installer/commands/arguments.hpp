// The command line: the commands, what each can be given, and the help that is printed of them.
#pragma once

#include "commands/commands.hpp"

#include <string>
#include <string_view>

namespace pvegpu {

struct Command {
    std::string_view name;
    int (*run)(Session&);
    std::string_view arguments, help;
    std::string_view which_guest; // what is asked where none is named; empty where none is needed
};

struct Arguments {
    const Command* command = nullptr; // nullptr: print the version, or the help
    bool version = false;
    std::string help;
    std::string root;
    Options options;
};

// Throws boost::program_options::error.
Arguments parse_arguments(int argc, const char* const* argv);

std::string help_text();
std::string help_text(const Command& command);

} // namespace pvegpu
