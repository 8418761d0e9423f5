#include "base/did_you_mean.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Letters that are missing, too many, others or exchanged with the next (optimal string alignment).
std::size_t distance(std::string_view one, std::string_view other)
{
    std::vector rows(one.size() + 1, std::vector<std::size_t>(other.size() + 1));
    for (std::size_t i = 0; i <= one.size(); ++i)
        for (std::size_t j = 0; j <= other.size(); ++j) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            const std::size_t changed = one[i - 1] == other[j - 1] ? 0 : 1;
            rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + changed});
            if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1])
                rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    return rows.back().back();
}

} // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known)
{
    constexpr std::size_t most = 2, longest = 64; // letters
    if (word.size() > longest) return "";
    const auto away = [&](const std::string& one) { return distance(word, one); };
    const auto nearest = std::ranges::min_element(known, {}, away);
    if (nearest == known.end() || away(*nearest) > most || 2 * away(*nearest) >= word.size()) return "";
    return "; did you mean " + quote(*nearest) + "?";
}

} // namespace pvegpu
