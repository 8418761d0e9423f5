// How wide a text is shown, and whether in colours.
#pragma once

#include <cstddef>
#include <string>

namespace pvegpu {

enum class Colour { bold = 1, red = 31, green = 32, yellow = 33, magenta = 35, cyan = 36 }; // ECMA-48, SGR

struct Screen {
    bool colours = false;
    std::size_t width = 100; // characters; of a terminal its own

    std::string painted(const std::string& text, Colour colour) const
    {
        return colours ? "\x1b[" + std::to_string(static_cast<int>(colour)) + "m" + text + "\x1b[0m" : text;
    }
};

} // namespace pvegpu
