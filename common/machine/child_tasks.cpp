#include "machine/child_tasks.hpp"

#include "machine/bounded_child.hpp"
#include "machine/descriptors.hpp"
#include "machine/harden_process.hpp"
#include "machine/list_inside.hpp"
#include "machine/locked_file.hpp"
#include "pci/config_space.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace pvegpu {
namespace {

struct TaskHead {
    std::uint32_t task = 0;
    std::uint32_t path_length = 0;
    std::uint64_t text_length = 0;
    std::uint64_t number = 0;
};

bool send_all(int channel, const void* data, std::size_t length)
{
    const auto* bytes = static_cast<const char*>(data);
    while (length > 0) {
        const ssize_t sent = send(channel, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes += sent;
        length -= static_cast<std::size_t>(sent);
    }
    return true;
}

bool receive_all(int channel, void* data, std::size_t length)
{
    auto* bytes = static_cast<char*>(data);
    while (length > 0) {
        const ssize_t count = ::read(channel, bytes, length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes += count;
        length -= static_cast<std::size_t>(count);
    }
    return true;
}

bool receive_task(int channel, TaskMessage& message)
{
    TaskHead head;
    if (!receive_all(channel, &head, sizeof head)) return false;
    message = {head.task, head.number, std::string(head.path_length, '\0'),
               std::string(head.text_length, '\0')};
    return receive_all(channel, message.path.data(), message.path.size()) &&
           receive_all(channel, message.text.data(), message.text.size());
}

Descriptor open_file(const std::string& path, int flags)
{
    return Descriptor(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
}

// The errno of a call that must move that many bytes at once.
int error_of(ssize_t count, std::size_t wanted)
{
    if (count < 0) return errno;
    return std::cmp_equal(count, wanted) ? 0 : EIO;
}

int write_once(const std::string& path, const std::string& text)
{
    const auto file = open_file(path, O_WRONLY);
    if (file.failed()) return errno;
    return error_of(::write(file.number(), text.data(), text.size()), text.size());
}

int read_up_to(const std::string& path, std::uint64_t bytes, std::string& text)
{
    const auto file = open_file(path, O_RDONLY);
    if (file.failed()) return errno;
    while (text.size() < bytes) {
        std::array<char, 65536> buffer; // NOLINT(*-member-init): filled by read
        const ssize_t count =
            ::read(file.number(), buffer.data(), std::min<std::uint64_t>(buffer.size(), bytes - text.size()));
        if (count < 0) return errno;
        if (count == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return 0;
}

int claim(const std::string& path)
{
    const auto file = open_file(path, O_RDONLY | O_EXCL | O_NONBLOCK);
    return file.failed() ? errno : 0;
}

using BridgeControl = std::array<unsigned char, 2>;

int read_bridge_control(const Descriptor& config, BridgeControl& value)
{
    if (config.failed()) return errno;
    if (const int error =
            error_of(pread(config.number(), value.data(), value.size(), bridge_control), value.size()))
        return error;
    const bool silent = value[0] == 0xff && value[1] == 0xff; // nothing of this is its own
    return silent ? ENODEV : 0;
}

// Only the byte with the bit is written.
int write_bridge_control(const Descriptor& config, const BridgeControl& value, bool in_reset)
{
    const auto byte = static_cast<unsigned char>(in_reset ? value[0] | secondary_bus_reset
                                                          : value[0] & ~secondary_bus_reset);
    return error_of(pwrite(config.number(), &byte, sizeof byte, bridge_control), sizeof byte);
}

// The bit is cleared here, in the process that set it, so that no death of the parent can leave the bus in
// reset.
int pulse_bridge_control(const std::string& path, std::uint64_t hold_milliseconds)
{
    const auto config = open_file(path, O_RDWR);
    BridgeControl value{};
    if (const int error = read_bridge_control(config, value)) return error;
    if (const int error = write_bridge_control(config, value, true)) return error;
    poll(nullptr, 0, static_cast<int>(hold_milliseconds));
    return write_bridge_control(config, value, false);
}

int clear_bridge_control(const std::string& path)
{
    const auto config = open_file(path, O_RDWR);
    BridgeControl value{};
    if (const int error = read_bridge_control(config, value)) return error;
    return (value[0] & secondary_bus_reset) == 0 ? 0 : write_bridge_control(config, value, false);
}

int perform(const TaskMessage& message, std::string& text)
{
    switch (static_cast<BoundedChild::Task>(message.task)) {
    case BoundedChild::Task::read:
        return read_up_to(message.path, message.number, text);
    case BoundedChild::Task::write:
        return write_once(message.path, message.text);
    case BoundedChild::Task::claim:
        return claim(message.path);
    case BoundedChild::Task::pulse_bridge_control:
        return pulse_bridge_control(message.path, message.number);
    case BoundedChild::Task::clear_bridge_control:
        return clear_bridge_control(message.path);
    case BoundedChild::Task::list_inside: {
        const auto end_of_directory = message.text.find('\n');
        return list_inside(message.path, message.text.substr(0, end_of_directory),
                           message.text.substr(end_of_directory + 1), text);
    }
    case BoundedChild::Task::replace_locked:
        return replace_locked(message.path, unpack_locked_replacement(message.text),
                              std::chrono::milliseconds(message.number));
    case BoundedChild::Task::guard:
    case BoundedChild::Task::forget_guarded:
        break;
    }
    return 0;
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

} // namespace

std::string pack(const TaskMessage& message)
{
    const TaskHead head{message.task, static_cast<std::uint32_t>(message.path.size()), message.text.size(),
                        message.number};
    std::string bytes(sizeof head, '\0');
    std::memcpy(bytes.data(), &head, sizeof head);
    return bytes + message.path + message.text;
}

void serve_tasks(int channel) noexcept
{
    leave_parent_behind(channel);
    std::vector<TaskMessage> guarded;
    TaskMessage message;
    while (receive_task(channel, message)) {
        const auto task = static_cast<BoundedChild::Task>(message.task);
        if (task == BoundedChild::Task::guard) guarded.push_back(message);
        if (task == BoundedChild::Task::forget_guarded) guarded.clear();
        std::string text;
        const auto begin = std::chrono::steady_clock::now();
        const int error_number = perform(message, text);
        const auto took = std::chrono::steady_clock::now() - begin;
        const AnswerHead head{error_number, text.size(),
                              std::chrono::duration_cast<std::chrono::milliseconds>(took).count()};
        if (!send_all(channel, &head, sizeof head) || !send_all(channel, text.data(), text.size())) break;
    }
    for (const auto& write : guarded) write_once(write.path, write.text);
    _exit(0);
}

} // namespace pvegpu
