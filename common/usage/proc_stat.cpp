#include "usage/proc_stat.hpp"

#include "base/text.hpp"

namespace pvegpu {

std::optional<ProcStat> parse_proc_stat(std::string_view text)
{
    // The program's name may hold blanks and parentheses; what follows it is one letter and numbers.
    const auto open = text.find(" (");
    const auto close = text.rfind(") ");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
        return std::nullopt;
    const auto fields = split(text.substr(close + 2), ' ');
    constexpr std::size_t start = 22 - 3; // the first one is field 3
    if (fields.size() <= start || fields[0].size() != 1) return std::nullopt;
    const auto pid = parse_number<pid_t>(text.substr(0, open));
    const auto parent = parse_number<pid_t>(fields[1]);
    const auto start_time = parse_number<std::uint64_t>(trim_right(fields[start]));
    if (!pid || !parent || !start_time) return std::nullopt;
    return ProcStat{*pid, std::string(text.substr(open + 2, close - open - 2)), fields[0].front(), *parent,
                    *start_time};
}

} // namespace pvegpu
