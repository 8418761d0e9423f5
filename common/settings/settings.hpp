// /etc/pve-gpu-hook/settings.json: the administrator's wishes. Comments are allowed; absent keys keep their
// defaults; a guest's or a device's own entry overrides the general one, the guest's last. A guest is called
// by its VMID, one of Incus or LXD "incus:web" or "incus:lab/db".
#pragma once

#include "base/enum_names.hpp"
#include "machine/system.hpp"

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace pvegpu {

// The longest that each kind of step may take. The reason for each stands beside its value in settings.cpp.
struct Timeouts {
    std::chrono::milliseconds lock, busy, unbind, remove, reset, rescan, reappear, bind, chained, nodes,
        total;
};

enum class Strategy { cycle, automatic, remove_rescan, off };
enum class OnTimeout { warn, fail };
enum class AfterStop { keep, native };

// How the card's port is asked for a secondary bus reset. The default takes reset_subordinate where the
// kernel has it.
enum class InUse { refuse, warn };

enum class ResetWith { best, reset_subordinate, bridge_control };

// How often a guest that reboots by itself is started anew.
struct GuestReboots {
    unsigned most;
    std::chrono::seconds within;
};

struct Settings {
    Timeouts timeouts;
    unsigned parallel; // cards of one guest that are at the same stage at once
    unsigned retries;  // of a step that answered EAGAIN or EBUSY
    Strategy strategy;
    OnTimeout on_timeout;
    AfterStop after_stop;
    ResetWith reset_with;
    InUse in_use; // what the host or another guest uses, and Proxmox would take for this guest
    GuestReboots guest_reboot;
    std::string
        reset_method; // of the GPU while a guest has it: "default", "none", or as the kernel's file takes it
};

// How the file spells them.
inline constexpr std::array strategy_names = {
    EnumName{"cycle", Strategy::cycle}, EnumName{"auto", Strategy::automatic},
    EnumName{"remove-rescan", Strategy::remove_rescan}, EnumName{"off", Strategy::off}};
inline constexpr std::array on_timeout_names = {EnumName{"warn", OnTimeout::warn},
                                                EnumName{"fail", OnTimeout::fail}};
inline constexpr std::array after_stop_names = {EnumName{"keep", AfterStop::keep},
                                                EnumName{"native", AfterStop::native}};
inline constexpr std::array in_use_names = {EnumName{"refuse", InUse::refuse}, EnumName{"warn", InUse::warn}};
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

Settings default_settings();

class SettingsFile {
public:
    // Throws Error(invalid_config) with file and line for text that is not JSON, an unknown key, or a value
    // out of range.
    static SettingsFile parse(std::string_view text, const std::string& path);

    // The general settings with the entries of this device ("8086:56a6") and then of this guest laid over.
    Settings for_device(unsigned vmid, const std::string& device_id) const;
    Settings for_guest(unsigned vmid) const { return for_device(vmid, ""); }
    Settings for_everyone() const; // no entries

    // JSON without the comments, ids of devices in lower case.
    const std::string& text() const { return json_; }

private:
    std::string json_ = "{}"; // checked whole by parse
};

// Of this host; the defaults where there is no file. Throws Error(invalid_config).
SettingsFile read_settings(const SysReader& reader);

} // namespace pvegpu
