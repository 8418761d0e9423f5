#include "machine/bounded_child.hpp"

#include "base/error.hpp"
#include "machine/child_tasks.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace pvegpu {
namespace {

using Clock = std::chrono::steady_clock;

// How far a transfer over the channel got.
enum class Progress { complete, child_ended, out_of_time };

struct Patience {
    TimePoint deadline;
    int cancel = -1; // a descriptor that ends the wait when it becomes readable
};

int milliseconds_until(TimePoint deadline)
{
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

// A child that has died makes its channel ready, too.
bool becomes_ready(int channel, short event, const Patience& patience)
{
    std::array<pollfd, 2> waits{{{channel, event, 0}, {patience.cancel, POLLIN, 0}}};
    while (poll(waits.data(), waits.size(), milliseconds_until(patience.deadline)) < 0 && errno == EINTR) {
    }
    return waits[0].revents != 0;
}

// A stopped child does not empty its channel, so even sending takes no longer than the deadline.
Progress send_all(int channel, std::string_view bytes, const Patience& patience)
{
    while (!bytes.empty()) {
        const ssize_t sent = send(channel, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
        if (sent >= 0 || errno == EINTR) continue;
        if (errno != EAGAIN) return Progress::child_ended;
        if (!becomes_ready(channel, POLLOUT, patience)) return Progress::out_of_time;
    }
    return Progress::complete;
}

Progress receive_all(int channel, void* data, std::size_t length, const Patience& patience)
{
    auto* bytes = static_cast<char*>(data);
    while (length > 0) {
        if (!becomes_ready(channel, POLLIN, patience)) return Progress::out_of_time;
        const ssize_t count = recv(channel, bytes, length, MSG_DONTWAIT);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count <= 0) return Progress::child_ended;
        bytes += count;
        length -= static_cast<std::size_t>(count);
    }
    return Progress::complete;
}

// The kernel's own account of where a task is blocked, on one line. Empty without the right to read it.
std::string kernel_stack(pid_t pid)
{
    const int file = open(("/proc/" + std::to_string(pid) + "/stack").c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return "";
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(file, buffer.data(), buffer.size());
    close(file);
    std::string text(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    std::ranges::replace(text, '\n', ' ');
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

Outcome without_answer(Progress progress, pid_t child)
{
    if (progress == Progress::child_ended) return {Outcome::Kind::refused, ECANCELED, "", child, ""};
    return {Outcome::Kind::still_running, 0, "", child, kernel_stack(child)};
}

} // namespace

BoundedChild::BoundedChild()
{
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw Error(Reason::failed, {"cannot make a channel to a child process"}, "", errno);
    pid_ = fork();
    if (pid_ == 0) serve_tasks(ends[1]);
    const int fork_error = errno;
    close(ends[1]);
    channel_ = ends[0];
    if (pid_ < 0) {
        close(channel_);
        throw Error(Reason::failed, {"cannot start a child process"}, "", fork_error);
    }
}

BoundedChild::~BoundedChild()
{
    close(channel_);
    waitpid(pid_, nullptr, WNOHANG);
}

// The child speaks only when asked: what there is to read is the end of the file.
bool BoundedChild::ended() const
{
    return answers_within(Milliseconds(0));
}

bool BoundedChild::answers_within(Milliseconds time) const
{
    return becomes_ready(channel_, POLLIN, {Clock::now() + time, -1});
}

// NOLINTNEXTLINE(readability-make-member-function-const): it is the child that changes
Outcome BoundedChild::perform(Task task, const std::string& path, std::string_view text, std::uint64_t number,
                              Milliseconds timeout, int cancel)
{
    const Patience patience{Clock::now() + timeout, cancel};
    const auto message = pack({static_cast<std::uint32_t>(task), number, path, std::string(text)});
    AnswerHead head;
    Progress progress = send_all(channel_, message, patience);
    if (progress == Progress::complete) progress = receive_all(channel_, &head, sizeof head, patience);
    std::string answer(head.length, '\0');
    if (progress == Progress::complete)
        progress = receive_all(channel_, answer.data(), answer.size(), patience);
    if (progress != Progress::complete) return without_answer(progress, pid_);
    const auto kind = head.error_number != 0 ? Outcome::Kind::refused : Outcome::Kind::done;
    return {kind, head.error_number, std::move(answer), 0, "", Milliseconds(head.milliseconds)};
}

} // namespace pvegpu
