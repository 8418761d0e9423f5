// How both programs read their command line: long options, never abbreviated, the letters of the few that
// have one, and words in any place.
#pragma once

#include "base/did_you_mean.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// Adds "words" to what is known. Throws boost::program_options::error for what is not known or lacks its
// value.
inline boost::program_options::variables_map parse_options(boost::program_options::options_description known,
                                                           int argc, const char* const* argv)
{
    namespace options = boost::program_options;
    using Style = options::command_line_style::style_t;
    std::vector<std::string> names;
    for (const auto& option : known.options()) names.push_back("--" + option->long_name());
    known.add_options()("words", options::value<std::vector<std::string>>());
    options::positional_options_description words;
    words.add("words", -1);
    options::variables_map values;
    try {
        options::store(options::command_line_parser(argc, argv)
                           .options(known)
                           .positional(words)
                           .style(Style::allow_long | Style::long_allow_next | Style::long_allow_adjacent |
                                  Style::allow_short | Style::allow_dash_for_short | Style::short_allow_next)
                           .run(),
                       values);
    } catch (const options::unknown_option& error) {
        const auto name = error.get_option_name();
        throw options::error("not an option: " + quote(name) + did_you_mean(name, names));
    }
    return values;
}

// Of a command line that cannot be parsed: whether its reader is a program.
inline bool asks_for_json(int argc, const char* const* argv)
{
    return std::any_of(argv, argv + argc,
                       [](const char* word) { return std::string_view(word) == "--json"; });
}

// Of --root; empty without it. Throws boost::program_options::error for an empty one: DIR comes from a
// variable that a script forgot to set, and must not be the live host.
inline std::string root_of(const boost::program_options::variables_map& values)
{
    if (values.count("root") == 0) return "";
    auto root = values["root"].as<std::string>();
    if (root.empty()) throw boost::program_options::error("'--root' needs a directory");
    return root;
}

} // namespace pvegpu
