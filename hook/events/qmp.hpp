// What QEMU says on a monitor of its machine protocol (docs/interop/qmp-spec in QEMU), a line at a time.
// Pure.
#pragma once

#include "base/json.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

// The longest line that is taken: the answers that we ask for have some hundred bytes, and a list of a VM's
// character devices some thousand.
inline constexpr std::size_t longest_qmp_line = 65'536;

struct QmpMessage {
    enum class Kind { greeting, answer, refusal, event, other };

    Kind kind = Kind::other;
    std::string id;   // of an answer or a refusal: as the command had it
    std::string name; // of an event: "SHUTDOWN"; of a refusal: its class, "CommandNotFound"
    Json body;        // what was returned, the event's data, or the error

    std::string text(const char* key) const { return text_in(body, key); }
};

// Nothing for what is no JSON object, or longer than that.
std::optional<QmpMessage> parse_qmp(std::string_view line);

// "{...}\n"
std::string qmp_command(std::string_view name, const Json& arguments, const std::string& id);

// A SHUTDOWN by which QEMU says that the machine was to be reset, and that it has halted it instead
// (ShutdownCause in QEMU's qapi/run-state.json): by the guest, or by 'system_reset', which is the web
// interface's Reset.
bool is_reset(const QmpMessage& shutdown);

// Of `query-chardev`: whether the character device of that name is the socket with this path. ("filename" is
// "disconnected:unix:PATH,server=on", "unix:PATH,server=on" while somebody is connected;
// qemu_chr_socket_address in chardev/char-socket.c)
bool has_chardev(const Json& list, std::string_view name, std::string_view path);

} // namespace pvegpu
