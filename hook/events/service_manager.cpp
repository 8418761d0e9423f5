#include "events/service_manager.hpp"

#include "base/text.hpp"
#include "machine/descriptors.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace pvegpu {
namespace {

constexpr int first_passed = 3; // SD_LISTEN_FDS_START

// systemd reads its socket between two of its main loop's rounds; a host that boots is busy.
constexpr int manager_takes_within_milliseconds = 5'000;

} // namespace

ServiceManager::ServiceManager(std::string socket, const std::string& listen_pid,
                               const std::string& listen_fds)
    : socket_(std::move(socket))
{
    const auto count = parse_decimal(listen_fds).value_or(0);
    if (parse_number<pid_t>(listen_pid) != getpid() || count == 0) return;
    constexpr unsigned most = 64; // we leave one; whatever else is passed is closed
    for (unsigned i = 0; i < std::min(count, most); ++i) {
        const int file = first_passed + static_cast<int>(i);
        if (i == 0 && fcntl(file, F_SETFD, FD_CLOEXEC) == 0)
            inherited_ = file;
        else
            close(file);
    }
}

std::optional<int> ServiceManager::inherited()
{
    const auto file = inherited_;
    inherited_.reset();
    return file;
}

void ServiceManager::tell(const std::string& text, int descriptor) const
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
    std::ranges::copy(socket_, std::begin(address.sun_path));
    if (socket_.front() == '@') address.sun_path[0] = '\0'; // an abstract name
    const Descriptor channel(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    constexpr timeval longest{manager_takes_within_milliseconds / 1000, 0};
    setsockopt(channel.number(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
    std::string bytes = text;
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        auto* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    sendmsg(channel.number(), &message, MSG_NOSIGNAL);
}

void ServiceManager::keep(int descriptor) const
{
    if (socket_.empty()) return;
    tell("FDSTORE=1\nFDNAME=qmp\nFDPOLL=0", descriptor);
    std::array<int, 2> pipe_ends{-1, -1};
    if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return;
    const Descriptor read_end(pipe_ends[0]);
    {
        const Descriptor write_end(pipe_ends[1]);
        tell("BARRIER=1", write_end.number()); // systemd closes it once it has read all before it
    }
    pollfd wait{read_end.number(), 0, 0};
    poll(&wait, 1, manager_takes_within_milliseconds);
}

} // namespace pvegpu
