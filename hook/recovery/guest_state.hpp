// What is remembered of a guest from its start to its stop, in /run/pve-gpu-hook/state/VMID.json. Written
// before the first change of a start; the stop goes by it and not by the guest's configuration, which may
// hold other lines by then.
#pragma once

#include "base/pci_address.hpp"
#include "machine/system.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct RecoveryPlan; // recovery/plan.hpp

// A file of /sys and the text that it had before we changed it.
struct Setting {
    std::string path;
    std::string text;

    bool operator==(const Setting&) const = default;
};

// What a function has of settings that let it sleep, the order in which they are written: the first keeps it
// awake, so that the second, which the kernel wakes it for, does not do so again.
inline constexpr std::array<std::string_view, 2> power_files{"power/control", "d3cold_allowed"};

// What keeps a device awake: "on" in power/control, "0" in d3cold_allowed.
std::string awake_text(const std::string& path);

struct GuestFunction {
    PciAddress address;
    std::string id;            // "8086:56a6": another device at that address is not ours to touch
    std::string native_driver; // that the host had bound to it; empty if it was none
    bool gpu = false;

    bool operator==(const GuestFunction&) const = default;
};

struct GuestState {
    unsigned vmid = 0;
    std::vector<GuestFunction> functions; // of the guest's cards, those that it was given
    std::vector<Setting> power;           // power/control and d3cold_allowed of the cards and the ports above
    std::vector<Setting> reset_methods;   // of functions for which another one was chosen
    std::vector<Setting> console;         // virtual consoles that were taken off a GPU
    std::optional<pid_t> holder;          // who was seen to have them open after the start
    std::string holder_program;

    bool operator==(const GuestState&) const = default;
};

std::string print_guest_state(const GuestState& state);

void save_guest_state(System& system, const GuestState& state); // throws Error

// Nothing of a damaged file; nothing in it that is not below /sys.
std::optional<GuestState> parse_guest_state(std::string_view text);

std::optional<GuestState> read_guest_state(const SysReader& reader, unsigned vmid);

std::vector<GuestState> read_guest_states(const SysReader& reader); // of every guest

// The machine as this plan finds it. What an earlier start of the guest, whose stop never came, had noted
// stays, and so does what another guest below the same port has noted: by now the settings are ours, and the
// driver is vfio-pci.
GuestState note_guest_state(const SysReader& reader, const RecoveryPlan& plan);

} // namespace pvegpu
