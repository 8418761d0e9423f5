// How the settings file spells its values: shared by what checks the file and what reads it.
#pragma once

#include "base/enum_names.hpp"
#include "settings/settings.hpp"

#include <array>

namespace pvegpu {

inline constexpr std::array strategy_names = {
    EnumName{"cycle", Strategy::cycle}, EnumName{"auto", Strategy::automatic},
    EnumName{"remove-rescan", Strategy::remove_rescan}, EnumName{"off", Strategy::off}};
inline constexpr std::array on_timeout_names = {EnumName{"warn", OnTimeout::warn},
                                                EnumName{"fail", OnTimeout::fail}};
inline constexpr std::array after_stop_names = {EnumName{"keep", AfterStop::keep},
                                                EnumName{"native", AfterStop::native}};
inline constexpr std::array reset_with_names = {EnumName{"best", ResetWith::best},
                                                EnumName{"reset_subordinate", ResetWith::reset_subordinate},
                                                EnumName{"bridge_control", ResetWith::bridge_control}};
inline constexpr std::array timeout_names = {
    EnumName{"lock", &Timeouts::lock},         EnumName{"busy", &Timeouts::busy},
    EnumName{"unbind", &Timeouts::unbind},     EnumName{"remove", &Timeouts::remove},
    EnumName{"reset", &Timeouts::reset},       EnumName{"rescan", &Timeouts::rescan},
    EnumName{"reappear", &Timeouts::reappear}, EnumName{"bind", &Timeouts::bind},
    EnumName{"chained", &Timeouts::chained},   EnumName{"nodes", &Timeouts::nodes},
    EnumName{"total", &Timeouts::total},
};

} // namespace pvegpu
