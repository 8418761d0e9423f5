// Where the keys of a JSON text stand, for messages: the JSON library knows it only for syntax errors.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

unsigned line_of_byte(std::string_view text, std::size_t byte); // from 1

// The keys of a text that the JSON library has accepted (comments allowed), as they are written in it. Keys
// inside of arrays are left out.
class JsonLines {
public:
    explicit JsonLines(std::string_view text);

    // The line of the key with that path ("/guests/101/retries"), or of the nearest key around it.
    unsigned line_of(std::string path) const;

    // The path of a key that one object has twice, if there is one; its line is that of the second.
    const std::optional<std::string>& duplicate() const { return duplicate_; }

private:
    void add(const std::string& path, unsigned line);

    std::map<std::string, unsigned> lines_;
    std::optional<std::string> duplicate_;
};

} // namespace pvegpu
