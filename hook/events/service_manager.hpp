// What systemd, as a service's manager, is told, and what it keeps for us: the protocol of sd_notify(3) and
// sd_listen_fds(3), which is a datagram and two variables. Run by hand there is no manager, and nothing is
// told.
#pragma once

#include <optional>
#include <string>

namespace pvegpu {

class ServiceManager {
public:
    ServiceManager() = default; // there is none
    // Of the variables NOTIFY_SOCKET, LISTEN_PID and LISTEN_FDS; empty: not set.
    ServiceManager(std::string socket, const std::string& listen_pid, const std::string& listen_fds);

    // The descriptor that an earlier process of the service has left, once; nothing if there is none.
    std::optional<int> inherited();

    void ready() const { tell("READY=1"); }
    void status(const std::string& line) const { tell("STATUS=" + line); }
    void alive() const { tell("WATCHDOG=1"); }

    // Keeps a copy, even after its other end is gone (FDPOLL=0, systemd 246): what was not read of it can be
    // read by the next process. Returns when systemd has it, or after some seconds.
    void keep(int descriptor) const;
    void forget() const { tell("FDSTOREREMOVE=1\nFDNAME=qmp"); }

private:
    void tell(const std::string& text, int descriptor = -1) const;

    std::string socket_;
    std::optional<int> inherited_;
};

} // namespace pvegpu
