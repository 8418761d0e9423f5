#include "base/shell_quote.hpp"

#include "base/text.hpp"

namespace pvegpu {

std::string shell_quoted(std::string_view word)
{
    const auto plain = [](char c) {
        return is_alnum(c) || std::string_view("-_=+,./:%@").find(c) != std::string_view::npos;
    };
    if (!word.empty() && consists_of(word, plain)) return std::string(word);
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

std::string shell_line(const std::vector<std::string>& words)
{
    std::string line;
    for (const auto& word : words) line += (line.empty() ? "" : " ") + shell_quoted(word);
    return line;
}

} // namespace pvegpu
