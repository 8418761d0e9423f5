// A System whose steps are shown as they end.
#pragma once

#include "changes/terminal.hpp"
#include "machine/forwarding_system.hpp"

namespace pvegpu {

class Watched : public ForwardingSystem {
public:
    Watched(System& inner, Console& console) : ForwardingSystem(inner), console_(console) {}
    void show_step(const std::string& line) override { console_.print("  " + line + "\n"); }

private:
    Console& console_;
};

} // namespace pvegpu
