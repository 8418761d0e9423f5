// How the settings file spells its values: shared by what checks the file and what reads it.
#pragma once

#include "base/enum_names.hpp"
#include "settings/settings.hpp"

#include <array>

namespace pvegpu {

inline constexpr std::array strategy_names = {
    Name{"cycle", Strategy::cycle}, Name{"auto", Strategy::automatic},
    Name{"remove-rescan", Strategy::remove_rescan}, Name{"off", Strategy::off}};
inline constexpr std::array on_timeout_names = {Name{"warn", OnTimeout::warn}, Name{"fail", OnTimeout::fail}};
inline constexpr std::array after_stop_names = {Name{"keep", AfterStop::keep},
                                                Name{"native", AfterStop::native}};
inline constexpr std::array reset_with_names = {Name{"best", ResetWith::best},
                                                Name{"reset_subordinate", ResetWith::reset_subordinate},
                                                Name{"bridge_control", ResetWith::bridge_control}};
inline constexpr std::array timeout_names = {
    Name{"lock", &Timeouts::lock},         Name{"busy", &Timeouts::busy},
    Name{"unbind", &Timeouts::unbind},     Name{"remove", &Timeouts::remove},
    Name{"reset", &Timeouts::reset},       Name{"rescan", &Timeouts::rescan},
    Name{"reappear", &Timeouts::reappear}, Name{"bind", &Timeouts::bind},
    Name{"chained", &Timeouts::chained},   Name{"nodes", &Timeouts::nodes},
    Name{"total", &Timeouts::total},
};

} // namespace pvegpu
