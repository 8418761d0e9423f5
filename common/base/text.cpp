#include "base/text.hpp"

#include <algorithm>

namespace pvegpu {

std::string lower(std::string_view text)
{
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
    return result;
}

std::string_view trim_left(std::string_view text)
{
    text.remove_prefix(count_front(text, is_space));
    return text;
}

std::string_view trim_right(std::string_view text)
{
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

std::string_view trim(std::string_view text)
{
    return trim_right(trim_left(text));
}

std::vector<std::string_view> split(std::string_view text, char separator)
{
    std::vector<std::string_view> parts;
    while (const auto halves = split_once(text, separator)) {
        parts.push_back(halves->first);
        text = halves->second;
    }
    parts.push_back(text);
    return parts;
}

std::optional<std::pair<std::string_view, std::string_view>> split_once(std::string_view text, char separator)
{
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos) return std::nullopt;
    return std::pair(text.substr(0, at), text.substr(at + 1));
}

std::vector<std::string_view> words_of(std::string_view text)
{
    std::vector<std::string_view> words;
    for (text = trim(text); !text.empty(); text = trim_left(text)) {
        words.push_back(text.substr(0, count_front(text, [](char c) { return !is_space(c); })));
        text.remove_prefix(words.back().size());
    }
    return words;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator)
{
    std::string result;
    for (const std::string& part : parts) {
        if (!result.empty()) result += separator;
        result += part;
    }
    return result;
}

std::optional<bool> version_before(std::string_view version, std::initializer_list<unsigned> other)
{
    const auto parts = split(version, '.');
    auto part = parts.begin();
    for (const auto wanted : other) {
        if (part == parts.end()) return std::nullopt;
        const auto number = parse_decimal(part->substr(0, count_front(*part, is_digit)));
        if (!number) return std::nullopt;
        if (*number != wanted) return *number < wanted;
        ++part;
    }
    return false;
}

std::string to_hex(unsigned value, std::size_t digits)
{
    std::size_t length = 0;
    for (unsigned rest = value; rest != 0; rest >>= 4U) ++length;
    std::string result(std::max(length, digits), '0');
    for (auto place = result.rbegin(); value != 0; value >>= 4U) *place++ = "0123456789abcdef"[value & 0xfU];
    return result;
}

std::string printable(std::string_view text, std::size_t longest)
{
    std::string result;
    for (const char c : text.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f)
            result += c;
        else
            result += "\\x" + to_hex(byte, 2);
    }
    return text.size() > longest ? result + "..." : result;
}

std::string quote(std::string_view text)
{
    constexpr std::size_t longest = 120; // one line of a task log
    return "'" + printable(text, longest) + "'";
}

bool LineReader::next()
{
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++number_;
    return true;
}

std::optional<std::string_view> value_in(std::string_view text, std::string_view key)
{
    for (LineReader lines(text); lines.next();)
        if (const auto parts = split_once(lines.line(), ':'); parts && parts->first == key)
            return trim(parts->second);
    return std::nullopt;
}

std::string_view last_name(std::string_view path)
{
    return path.substr(path.rfind('/') + 1);
}

} // namespace pvegpu
