// A console that nobody sits at: what is printed is kept.
#pragma once

#include "changes/terminal.hpp"

#include <string>

namespace pvegpu::testing {

class Printed : public Console {
public:
    std::string text;

    void print(std::string_view more) override { text += more; }
    void progress(std::string_view) override {}
    bool can_ask() const override { return false; }
    bool ask(std::string_view) override { return false; }
    Screen screen() const override { return {}; }
};

} // namespace pvegpu::testing
