// Small helpers for text that came from a file or a device: ASCII only, whatever the locale.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pvegpu {

// Kinds of characters, as they are handed to count_front and its like. The first are the six that Perl's \s
// matches in a byte string.
inline constexpr auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
inline constexpr auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
inline constexpr auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
inline constexpr auto is_alpha = [](char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); };
inline constexpr auto is_alnum = [](char c) { return is_alpha(c) || is_digit(c); };
inline constexpr auto is_lower_hex = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
inline constexpr auto is_hex = [](char c) { return is_lower_hex(c) || (c >= 'A' && c <= 'F'); };
constexpr char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text);

// A string that nobody holds: what cuts a text into views takes none, its answer would be a view of what is
// gone.
template <typename Text>
concept TemporaryString = std::same_as<Text, std::string>;

std::string_view trim_left(std::string_view text);
std::string_view trim_right(std::string_view text);
std::string_view trim(std::string_view text);
// Of a text that nobody holds: a text of its own.
template <TemporaryString Text> std::string trim_right(Text&& text)
{
    return std::string(trim_right(std::string_view(text)));
}
template <TemporaryString Text> std::string trim(Text&& text)
{
    return std::string(trim(std::string_view(text)));
}
inline bool is_blank(std::string_view text)
{
    return trim_left(text).empty();
}

// How many characters at the front are of that kind.
template <typename Kind> constexpr std::size_t count_front(std::string_view text, Kind kind)
{
    std::size_t count = 0;
    while (count < text.size() && kind(text[count])) ++count;
    return count;
}

template <typename Kind> constexpr bool consists_of(std::string_view text, Kind kind)
{
    return count_front(text, kind) == text.size();
}

// "a;b;;c" -> a, b, "", c; an empty text is one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);
template <TemporaryString Text> std::vector<std::string_view> split(const Text&&, char) = delete;

// What stands between blanks.
std::vector<std::string_view> words_of(std::string_view text);
template <TemporaryString Text> std::vector<std::string_view> words_of(const Text&&) = delete;

// What stands before and after the first `separator`; nothing if there is none.
std::optional<std::pair<std::string_view, std::string_view>> split_once(std::string_view text,
                                                                        char separator);
template <TemporaryString Text>
std::optional<std::pair<std::string_view, std::string_view>> split_once(const Text&&, char) = delete;

std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Digits only, no sign, no blank; nothing if it does not fit.
template <typename Number> std::optional<Number> parse_number(std::string_view text, int base = 10)
{
    Number value = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value, base);
    if (text.starts_with('-') || error != std::errc() || stopped != end) return std::nullopt;
    return value;
}
inline std::optional<unsigned> parse_decimal(std::string_view text)
{
    return parse_number<unsigned>(text);
}
inline std::optional<unsigned> parse_hex(std::string_view text)
{
    return parse_number<unsigned>(text, 16);
}

// "6.14.8-2-pve" before {6, 19}: the numbers between the dots, as far as they are given; what follows the
// digits of one is not looked at. Nothing if the version has no such numbers.
std::optional<bool> version_before(std::string_view version, std::initializer_list<unsigned> other);

// The number in lower-case hex, zeros in front up to `digits`.
std::string to_hex(unsigned value, std::size_t digits);

// Control characters and everything that is not ASCII as \xNN, so that no terminal, log or colour can be
// driven by what a file says. Longer text is cut and ends in "...".
std::string printable(std::string_view text, std::size_t longest = std::string_view::npos);

// The same in single quotes, for messages; cut after 120 characters.
std::string quote(std::string_view text);

// The lines of a text, cut at '\n' only, counted from 1. A text that ends in '\n' has no empty last line.
class LineReader {
public:
    explicit LineReader(std::string_view text) : rest_(text) {}
    template <TemporaryString Text> explicit LineReader(const Text&&) = delete;

    bool next();
    std::string_view line() const { return line_; }
    unsigned number() const { return number_; }

private:
    std::string_view rest_;
    std::string_view line_;
    unsigned number_ = 0;
};

// Of the first line "KEY: VALUE" with that key: the value, without blanks around it.
std::optional<std::string_view> value_in(std::string_view text, std::string_view key);
template <TemporaryString Text>
std::optional<std::string_view> value_in(const Text&&, std::string_view) = delete;

// What stands after the last '/'; all of it if there is none.
std::string_view last_name(std::string_view path);
template <TemporaryString Text> std::string_view last_name(const Text&&) = delete;

// "1 function", "2 functions"
inline std::string counted(std::size_t number, const std::string& one)
{
    return std::to_string(number) + " " + one + (number == 1 ? "" : "s");
}

} // namespace pvegpu
