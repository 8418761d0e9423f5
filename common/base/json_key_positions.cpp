#include "base/json_key_positions.hpp"

#include <algorithm>
#include <vector>

namespace pvegpu {

namespace {

// How long the comment at the front is, 0 if there is none.
std::size_t length_of_comment(std::string_view text)
{
    if (text.starts_with("//")) return std::min(text.find('\n'), text.size());
    if (!text.starts_with("/*")) return 0;
    const std::size_t end = text.find("*/", 2);
    return end == std::string_view::npos ? text.size() : end + 2;
}

// How long the string at the front is, its quotes included.
std::size_t length_of_string(std::string_view text)
{
    std::size_t at = 1;
    while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    return std::min(at + 1, text.size());
}

// Walks over a text and remembers in which object of which key it is.
class KeyWalker {
public:
    explicit KeyWalker(std::string_view text) : text_(text) {}

    // Goes to the next key; false at the end of the text.
    bool next()
    {
        while (at_ < text_.size())
            if (step()) return true;
        return false;
    }

    std::string path() const
    {
        std::string path;
        for (const Frame& frame : frames_) path += "/" + std::string(frame.key);
        return path;
    }

    unsigned line() const { return line_of_byte(text_, key_at_); }

private:
    struct Frame {
        bool object = false;
        bool key_comes = false; // the next string is a key
        std::string_view key;
    };

    // Takes one token; true if it was a key.
    bool step()
    {
        if (const std::size_t comment = length_of_comment(text_.substr(at_)); comment != 0) {
            at_ += comment;
            return false;
        }
        const char c = text_[at_];
        if (c == '"') return take_string();
        ++at_;
        if (c == '{' || c == '[') frames_.push_back({c == '{', c == '{', {}});
        if ((c == '}' || c == ']') && !frames_.empty()) frames_.pop_back();
        if (c == ',' && !frames_.empty()) frames_.back().key_comes = frames_.back().object;
        return false;
    }

    bool take_string()
    {
        const std::size_t length = length_of_string(text_.substr(at_));
        const std::size_t begin = at_;
        at_ += length;
        if (!in_objects_only() || !frames_.back().key_comes || length < 2) return false;
        frames_.back().key_comes = false;
        frames_.back().key = text_.substr(begin + 1, length - 2);
        key_at_ = begin;
        return true;
    }

    // Keys inside of arrays have no path of their own.
    bool in_objects_only() const
    {
        return !frames_.empty() &&
               std::all_of(frames_.begin(), frames_.end(), [](const Frame& f) { return f.object; });
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t key_at_ = 0;
    std::vector<Frame> frames_;
};

} // namespace

unsigned line_of_byte(std::string_view text, std::size_t byte)
{
    const std::string_view before = text.substr(0, byte);
    return 1 + static_cast<unsigned>(std::count(before.begin(), before.end(), '\n'));
}

JsonLines::JsonLines(std::string_view text)
{
    for (KeyWalker walker(text); walker.next();) add(walker.path(), walker.line());
}

void JsonLines::add(const std::string& path, unsigned line)
{
    if (!lines_.insert_or_assign(path, line).second && !duplicate_) duplicate_ = path;
}

unsigned JsonLines::line_of(std::string path) const
{
    while (!path.empty()) {
        if (const auto found = lines_.find(path); found != lines_.end()) return found->second;
        path.erase(path.rfind('/'));
    }
    return 1;
}

} // namespace pvegpu
