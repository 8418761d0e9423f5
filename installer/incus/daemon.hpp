// The daemon of Incus or LXD, asked by its socket. What it answers to what was measured:
// tests/incus/README.md.
//
// Each question has a connection and a deadline of its own: a QEMU that stands still makes the list of
// instances wait for ever, while other questions are answered.
#pragma once

#include "base/json.hpp"
#include "incus/http.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// It answers from memory and its database, in a tenth of a second.
inline constexpr Milliseconds daemon_answers_within{20'000};
// systemd starts it for whoever asks first. That took 22 s under emulation.
inline constexpr Milliseconds daemon_starts_within{90'000};

// What an answer says, whatever its HTTP status: a failed operation is told with 200.
struct DaemonAnswer { // NOLINT(bugprone-exception-escape): its move is that of JSON, which throws nothing
    unsigned error_code = 0; // 0: it is no error
    std::string error;       // in the daemon's words
    Json metadata;           // what was asked for
    std::string etag;        // of one instance: changes with everything but its description
    std::string operation;   // "/1.0/operations/UUID" of what goes on behind the answer; empty: nothing does

    bool failed() const { return error_code != 0; }
};

class DaemonReader {
public:
    DaemonReader(const SysReader& reader, std::string socket);

    const std::string& socket() const { return socket_; }
    std::string product() const; // "Incus" or "LXD", by its socket
    std::string tool() const;    // its command: "incus" or "lxc"

    // Throws Error(not_found) where nobody listens, Error(timed_out) where the answer does not come in time,
    // else Error(failed). What the daemon itself calls an error is an answer.
    DaemonAnswer ask(const std::string& path, Milliseconds within = daemon_answers_within) const;
    // The same; an error of the daemon's is thrown: Error(not_found) or Error(failed) in its words.
    DaemonAnswer get(const std::string& path, Milliseconds within = daemon_answers_within) const;
    // A file that it hands out, as it is. Nothing if it has none.
    std::optional<std::string> get_file(const std::string& path) const;

private:
    const SysReader& reader_;
    std::string socket_;
};

// How an operation ended. `unknown`: it is forgotten 5 s after its end, and when the daemon ends; only what
// it was done to can tell then.
struct OperationEnd {
    enum class How { well, badly, unknown, goes_on };
    How how = How::well;
    std::string error;  // of one that ended badly
    Json metadata = {}; // of one that ended well: its own
};

class Daemon : public DaemonReader {
public:
    Daemon(System& system, std::string socket) : DaemonReader(system, std::move(socket)), system_(system) {}

    // Sends a change. Throws as DaemonReader::ask.
    DaemonAnswer tell(const HttpRequest& request);
    // Waits for what goes on behind an answer; `goes_on` at the deadline: nothing of ours can be cancelled. A
    // daemon that ends and comes back meanwhile is asked again. Throws Error(interrupted).
    OperationEnd wait(const std::string& operation, Milliseconds within);
    // Both, of a change that must be made. Throws Error(failed) in the daemon's words, Error(timed_out).
    void change(const HttpRequest& request, Milliseconds within = daemon_answers_within);

private:
    System& system_;
};

// The sockets of this host on which one of them may listen; nothing of a host without them.
std::vector<std::string> daemon_sockets(const SysReader& reader);

} // namespace pvegpu
