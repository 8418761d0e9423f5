#include "usage/proc_stat.hpp"

#include <algorithm>
#include <charconv>

namespace pvegpu {
namespace {

template <typename Number> std::optional<Number> number_in(std::string_view text)
{
    Number value = 0;
    const auto* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end || value < 0) return std::nullopt;
    return value;
}

// The field with that number, counted from 0, of text that is separated by single blanks.
std::string_view field(std::string_view text, unsigned wanted)
{
    for (; wanted > 0; --wanted) {
        const auto end = std::min(text.find(' '), text.size());
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return text.substr(0, text.find(' '));
}

} // namespace

std::optional<ProcStat> parse_proc_stat(std::string_view text)
{
    // The program's name may hold blanks and parentheses; what follows it is one letter and numbers.
    const auto open = text.find(" (");
    const auto close = text.rfind(") ");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
        return std::nullopt;
    auto rest = text.substr(close + 2);
    if (rest.ends_with('\n')) rest.remove_suffix(1);
    const auto pid = number_in<pid_t>(text.substr(0, open));
    const auto state = field(rest, 0);
    if (!pid || rest.empty() || state.size() != 1) return std::nullopt;
    const auto parent = number_in<pid_t>(field(rest, 1));
    const auto start_time = number_in<std::uint64_t>(field(rest, 19));
    if (!parent || !start_time) return std::nullopt;
    return ProcStat{*pid, std::string(text.substr(open + 2, close - open - 2)), state.front(), *parent,
                    *start_time};
}

} // namespace pvegpu
