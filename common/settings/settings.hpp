// /etc/pve-gpu-hook/settings.json: the administrator's wishes. Comments are allowed; absent keys keep their
// defaults; a guest's or a device's own entry overrides the general one, the guest's last.
#pragma once

#include "machine/system.hpp"

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
enum class ResetWith { best, reset_subordinate, bridge_control };

struct Settings {
    Timeouts timeouts;
    unsigned retries; // of a step that answered EAGAIN or EBUSY
    Strategy strategy;
    OnTimeout on_timeout;
    AfterStop after_stop;
    ResetWith reset_with;
    std::string
        reset_method; // of the GPU while a guest has it: "default", "none", or as the kernel's file takes it
};

Settings default_settings();

class SettingsFile {
public:
    // Throws Error(invalid_config) with file and line for text that is not JSON, an unknown key, or a value
    // out of range.
    static SettingsFile parse(std::string_view text, const std::string& path);

    // The general settings with the entries of this device ("8086:56a6") and then of this guest laid over.
    Settings for_device(unsigned vmid, const std::string& device_id) const;
    Settings for_guest(unsigned vmid) const;
    Settings for_everyone() const; // no entries

private:
    std::string json_ = "{}"; // checked whole by parse
};

// Of this host; the defaults where there is no file. Throws Error(invalid_config).
SettingsFile read_settings(const SysReader& reader);

} // namespace pvegpu
