#include "machine/messages.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <iterator>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace pvegpu {
namespace {

// Proxmox reads what we say at once. Somebody else who has stopped reading must not stop us.
constexpr int reader_takes_within_milliseconds = 1000;

} // namespace

// A pipe that is ready takes PIPE_BUF bytes without blocking.
void tell_reader(int file, std::string_view text)
{
    while (!text.empty()) {
        pollfd wait{file, POLLOUT, 0};
        if (poll(&wait, 1, reader_takes_within_milliseconds) <= 0) return;
        const ssize_t written = ::write(file, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
        if (written < 0 && errno != EINTR && errno != EAGAIN) return;
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
}

// By hand, since syslog(3) blocks while the socket is full.
void tell_syslog(const std::string& socket_path, int priority, const std::string& tag,
                 const std::string& line)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) return;
    std::ranges::copy(socket_path, std::begin(address.sun_path));
    const int channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (channel < 0) return;
    const std::string message = "<" + std::to_string(priority) + ">" + tag + ": " + line;
    // NOLINTNEXTLINE(*-reinterpret-cast): the socket interface's own way
    const auto* const where = reinterpret_cast<const sockaddr*>(&address);
    sendto(channel, message.data(), message.size(), MSG_NOSIGNAL, where, sizeof address);
    close(channel);
}

} // namespace pvegpu
