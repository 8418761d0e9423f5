// A connection to a monitor of QEMU, from its client's side. Nothing that QEMU does makes it wait longer than
// a deadline, or grow.
//
// A line stays in the socket until it is done with (take): who is killed meanwhile leaves it to the next
// reader of the same connection, which systemd keeps (service_manager.hpp).
#pragma once

#include "events/notes.hpp"
#include "events/qmp.hpp"
#include "machine/descriptors.hpp"
#include "machine/system.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

// The reader waits on descriptors, not on facts of a System, and a System's clock is this one.
inline TimePoint clock_now()
{
    return std::chrono::steady_clock::now();
}

// The sockets of its own name that QEMU listens on ("/tmp/qemu-socket-1A2B3C"): listening ones of
// /proc/PID/net/unix whose inode one of its descriptors is.
std::vector<std::string> own_sockets(const SysReader& reader, const Process& qemu);

// Until one of these descriptors is readable or hung up, or for so long.
void wait_readable(const std::vector<int>& files, Milliseconds timeout);
bool is_readable(int file); // now; false for -1

class Monitor {
public:
    explicit Monitor(int descriptor); // takes it over

    // Nothing where the path leads to another process than that pid of our own user, root, or to none. The
    // greeting and the negotiation of capabilities, and that it is the monitor of our name. Throws Error.
    static std::unique_ptr<Monitor> open(const std::string& path, pid_t qemu);

    int descriptor() const { return socket_.number(); }
    pid_t peer() const; // 0 if it is not of our own user
    bool ended() const { return ended_; }

    // Waits until there is something to look at, or until `others` (descriptors) are readable, or for so
    // long.
    void wait(std::vector<int> others, Milliseconds timeout) const;

    // What has come, if a whole line has; it is the same one until it is taken. Throws Error for nonsense.
    std::optional<QmpMessage> next();
    void take();

    // The answer or the refusal to that command. `on_event` is told of each event that comes before it, and
    // it is taken only then. Throws Error, Error(timed_out) after `answers_within`.
    using OnEvent = std::function<void(const QmpMessage&)>;
    QmpMessage execute(std::string_view command, const Json& arguments, const OnEvent& on_event);

    // Without waiting for anything; whether it arrives nobody knows.
    void say_and_forget(std::string_view command, const Json& arguments) const;

private:
    void send(const std::string& text) const;
    QmpMessage await(const std::function<bool(const QmpMessage&)>& wanted, const OnEvent& on_event);

    Descriptor socket_;
    std::size_t length_ = 0; // of the line that `next` has given
    bool part_of_a_line_ = false;
    bool ended_ = false;
    unsigned commands_ = 0;
};

} // namespace pvegpu
