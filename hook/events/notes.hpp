// What is written down about a VM's own reboots: Proxmox's request for a restart, the stop that is on its
// way, how often it was started anew, and what its reader is at. All below /run: gone with the host's next
// boot.
#pragma once

#include "base/enum_names.hpp"
#include "machine/system.hpp"
#include "settings/settings.hpp"
#include "usage/process.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// By the pid file that Proxmox has QEMU write.
std::optional<Process> qemu_of(const SysReader& reader, unsigned vmid);

// --- Proxmox's request for a restart; it looks only whether the file is there, and its own is empty ---

std::string print_request(const Process& qemu); // "pve-gpu-hook 4711 123456\n"
bool is_own_request(std::string_view text);

struct RebootRequest {
    bool ours = false;
    std::string text;
};
std::optional<RebootRequest> read_request(const SysReader& reader, unsigned vmid); // nothing: there is none

// False if one is there already, whoever made it: a restart follows all the same. Throws Error.
bool ask_for_restart(System& system, unsigned vmid, const Process& qemu);

// Of ours only; Proxmox's own is never taken back. True if it was there. Throws Error.
bool take_back_request(System& system, unsigned vmid);

// --- a stop that the administrator, or Proxmox for them, has begun: the hook's pre-stop ---

// First the note, then the request is taken back, and the reader makes its request first and then looks for
// the note: whichever comes first, one of the two sees the other. Throws Error.
void note_stop(System& system, unsigned vmid);
void note_stop_of(System& system, unsigned vmid, const Process& qemu); // the note alone
bool stop_is_noted(const SysReader& reader, unsigned vmid, const Process& qemu);

// --- how often ---

// When it was started anew, in seconds on the host's monotonic clock; at most what is within the limit.
std::vector<std::int64_t> parse_restart_times(std::string_view text);

// Counts one more, and writes it down. False, and nothing is counted, where it was that often within the
// time.
bool count_restart(System& system, unsigned vmid, const GuestReboots& limit);

// --- the reader ---

enum class ReaderState {
    armed,   // a reset of the guest will start it anew
    waits,   // it will not, for a reason
    refused, // QEMU cannot be told to halt at a reset
    restart, // it has reset itself; Proxmox starts it anew
    resume,  // it has reset itself, and must go on in this QEMU
    stopped  // it has halted, and stays so
};
inline constexpr std::array reader_state_names{
    EnumName{"armed", ReaderState::armed},     EnumName{"waits", ReaderState::waits},
    EnumName{"refused", ReaderState::refused}, EnumName{"restart", ReaderState::restart},
    EnumName{"resume", ReaderState::resume},   EnumName{"stopped", ReaderState::stopped}};

struct ReaderNote {
    Process qemu, reader;
    ReaderState state = ReaderState::waits;
    std::string why;

    bool operator==(const ReaderNote&) const = default;
};
std::string print_reader_note(const ReaderNote& note);
std::optional<ReaderNote> parse_reader_note(std::string_view text); // nothing of a damaged one
std::optional<ReaderNote> read_reader_note(const SysReader& reader, unsigned vmid);

} // namespace pvegpu
