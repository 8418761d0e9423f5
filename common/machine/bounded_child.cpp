#include "machine/bounded_child.hpp"

#include "base/error.hpp"
#include "machine/descriptors.hpp"
#include "machine/harden_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace pvegpu {
namespace {

using Clock = std::chrono::steady_clock;

// What goes over the channel before a task's path and text, and before the text of its answer.
struct TaskHead {
    Task::Kind kind = Task::Kind::read;
    std::uint32_t path_length = 0;
    std::uint64_t text_length = 0;
    std::uint64_t number = 0;
};
struct AnswerHead {
    std::int32_t error_number = 0; // 0: done
    std::uint64_t length = 0;      // of the text that follows
    std::int64_t milliseconds = 0; // that the task took
};

template <typename Head> std::string pack(const Head& head, const std::string& path, const std::string& text)
{
    std::string bytes(sizeof head, '\0');
    std::memcpy(bytes.data(), &head, sizeof head);
    return bytes + path + text;
}

// How far a transfer over the channel got.
enum class Progress { complete, other_end_closed, out_of_time };

struct Patience {
    TimePoint deadline = TimePoint::max();
    int cancel = -1; // a descriptor that ends the wait when it becomes readable
};

int milliseconds_until(TimePoint deadline)
{
    if (deadline == TimePoint::max()) return -1; // for ever
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

// An other end that has gone makes the channel ready, too.
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
        if (errno != EAGAIN) return Progress::other_end_closed;
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
        if (count <= 0) return Progress::other_end_closed;
        bytes += count;
        length -= static_cast<std::size_t>(count);
    }
    return Progress::complete;
}

// The child waits for its parent as long as that lives.
bool receive_task(int channel, Task& task)
{
    TaskHead head;
    if (receive_all(channel, &head, sizeof head, {}) != Progress::complete) return false;
    task = {head.kind, head.number, std::string(head.path_length, '\0'), std::string(head.text_length, '\0')};
    return receive_all(channel, task.path.data(), task.path.size(), {}) == Progress::complete &&
           receive_all(channel, task.text.data(), task.text.size(), {}) == Progress::complete;
}

// Own session: Proxmox kills our process group. No descriptor but the channel: Proxmox waits until nobody
// holds our standard output any more, and a guest's lock must not live on in a stuck child. Nor must it keep
// a file system busy by standing in it.
void leave_parent_behind(int channel)
{
    setsid();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    if (!close_descriptors(0, channel) || chdir("/") != 0) _exit(1);
    prctl(PR_SET_NAME, bounded_child_name);
    harden_child();
}

// The life of the child: one task after the other until the channel closes, then the guarded writes. Nothing
// is thrown: the parent's handlers are on the child's stack too, and it would go on as a second parent.
[[noreturn]] void serve_tasks(int channel) noexcept
{
    leave_parent_behind(channel);
    std::vector<Task> guarded;
    std::string text;
    for (Task task; receive_task(channel, task); text.clear()) {
        if (task.kind == Task::Kind::guard) guarded.push_back({Task::Kind::write, 0, task.path, task.text});
        if (task.kind == Task::Kind::forget_guarded) guarded.clear();
        const auto begin = Clock::now();
        const int error_number = perform_task(task, text);
        const auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin);
        const auto answer = pack(AnswerHead{error_number, text.size(), took.count()}, "", text);
        if (send_all(channel, answer, {}) != Progress::complete) break;
    }
    for (const auto& write : guarded) perform_task(write, text);
    _exit(0);
}

// The kernel's own account of where a task is blocked, on one line. Empty without the right to read it.
std::string kernel_stack(pid_t pid)
{
    const Descriptor file(open(("/proc/" + std::to_string(pid) + "/stack").c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    read_up_to(4096, file, text);
    std::ranges::replace(text, '\n', ' ');
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

} // namespace

BoundedChild::BoundedChild()
{
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw Error(ErrorKind::failed, {"cannot make a channel to a child process"}, "", errno);
    pid_ = fork();
    if (pid_ == 0) serve_tasks(ends[1]);
    const int fork_error = errno;
    close(ends[1]);
    channel_ = ends[0];
    if (pid_ < 0) {
        close(channel_);
        throw Error(ErrorKind::failed, {"cannot start a child process"}, "", fork_error);
    }
}

BoundedChild::~BoundedChild()
{
    close(channel_);
    waitpid(pid_, nullptr, WNOHANG);
}

bool BoundedChild::answers_within(Milliseconds time) const
{
    return becomes_ready(channel_, POLLIN, {Clock::now() + time, -1});
}

// NOLINTNEXTLINE(readability-make-member-function-const): it is the child that changes
SysResult BoundedChild::perform(const Task& task, Milliseconds timeout, int cancel)
{
    const Patience patience{Clock::now() + timeout, cancel};
    const TaskHead task_head{task.kind, static_cast<std::uint32_t>(task.path.size()), task.text.size(),
                             task.number};
    AnswerHead head;
    Progress progress = send_all(channel_, pack(task_head, task.path, task.text), patience);
    if (progress == Progress::complete) progress = receive_all(channel_, &head, sizeof head, patience);
    std::string answer(head.length, '\0');
    if (progress == Progress::complete)
        progress = receive_all(channel_, answer.data(), answer.size(), patience);
    if (progress == Progress::other_end_closed) return {SysResult::Kind::refused, ECANCELED, "", pid_, ""};
    if (progress == Progress::out_of_time)
        return {SysResult::Kind::still_running, 0, "", pid_, kernel_stack(pid_)};
    const auto kind = head.error_number != 0 ? SysResult::Kind::refused : SysResult::Kind::done;
    return {kind, head.error_number, std::move(answer), 0, "", Milliseconds(head.milliseconds)};
}

} // namespace pvegpu
