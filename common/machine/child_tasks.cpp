#include "machine/child_tasks.hpp"

#include "base/bridge_control.hpp"
#include "machine/descriptors.hpp"
#include "machine/ipv4_interfaces.hpp"
#include "machine/list_inside.hpp"
#include "machine/new_file.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace pvegpu {
namespace {

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

} // namespace

int perform_task(const Task& task, std::string& text)
{
    const auto& [kind, number, path, given] = task;
    switch (kind) {
    case Task::Kind::read:
        return read_up_to(number, open_file(path, O_RDONLY), text);
    case Task::Kind::write:
        return write_once(path, given);
    case Task::Kind::claim:
        return claim(path);
    case Task::Kind::pulse_bridge_control:
        return pulse_bridge_control(path, number);
    case Task::Kind::clear_bridge_control:
        return clear_bridge_control(path);
    case Task::Kind::list_ipv4:
        return list_ipv4_interfaces(text);
    case Task::Kind::list_inside: {
        const auto end_of_directory = given.find('\n');
        return list_inside(path, given.substr(0, end_of_directory), given.substr(end_of_directory + 1), text);
    }
    case Task::Kind::replace_locked:
        return replace_locked(path, unpack_locked_replacement(given), std::chrono::milliseconds(number));
    case Task::Kind::guard:
    case Task::Kind::forget_guarded:
        break;
    }
    return 0;
}

} // namespace pvegpu
