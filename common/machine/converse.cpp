#include "machine/converse.hpp"

#include "machine/descriptors.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace pvegpu {
namespace {

using Clock = std::chrono::steady_clock;

class Conversation {
public:
    Conversation(const Descriptor& channel, std::size_t bytes, TimePoint deadline, int cancel)
        : channel_(channel), bytes_(bytes), deadline_(deadline), cancel_(cancel)
    {
    }

    SysResult hold(std::string_view text)
    {
        while (!text.empty()) {
            if (!ready(POLLOUT)) return {SysResult::Kind::still_running, 0, "", 0, ""};
            const ssize_t sent =
                send(channel_.number(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
            // Who closes before all was sent may have answered all the same.
            if (sent < 0 && errno != EAGAIN && errno != EINTR) break;
        }
        return hear();
    }

private:
    bool ready(short event) const
    {
        std::array<pollfd, 2> waits{{{channel_.number(), event, 0}, {cancel_, POLLIN, 0}}};
        for (;;) {
            const auto left = std::chrono::ceil<Milliseconds>(deadline_ - Clock::now()).count();
            const int count = poll(waits.data(), waits.size(),
                                   static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000)));
            if (count >= 0 || errno != EINTR) break;
        }
        return waits[0].revents != 0 && waits[1].revents == 0;
    }

    SysResult hear() const
    {
        SysResult answer;
        std::array<char, 65536> buffer; // NOLINT(*-member-init): filled by recv
        for (;;) {
            if (!ready(POLLIN)) return {SysResult::Kind::still_running, 0, std::move(answer.text), 0, ""};
            const ssize_t count = recv(channel_.number(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (count < 0) return {SysResult::Kind::refused, errno, std::move(answer.text), 0, ""};
            if (count == 0) return answer;
            answer.text.append(buffer.data(), static_cast<std::size_t>(count));
            if (answer.text.size() > bytes_) return {SysResult::Kind::refused, EMSGSIZE, "", 0, ""};
        }
    }

    const Descriptor& channel_;
    std::size_t bytes_;
    TimePoint deadline_;
    int cancel_;
};

} // namespace

SysResult converse(const std::string& path, std::string_view text, std::size_t bytes, Milliseconds timeout,
                   int cancel)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return {SysResult::Kind::refused, ENAMETOOLONG, "", 0, ""};
    std::ranges::copy(path, std::begin(address.sun_path));
    const Descriptor channel(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (channel.failed()) return {SysResult::Kind::refused, errno, "", 0, ""};
    // NOLINTNEXTLINE(*-reinterpret-cast): the socket interface's own way
    const auto* const where = reinterpret_cast<const sockaddr*>(&address);
    if (connect(channel.number(), where, sizeof address) != 0)
        return {SysResult::Kind::refused, errno, "", 0, ""};
    return Conversation(channel, bytes, Clock::now() + timeout, cancel).hold(text);
}

} // namespace pvegpu
