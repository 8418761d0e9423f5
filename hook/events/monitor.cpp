#include "events/monitor.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "proxmox/vm_args.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <map>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace pvegpu {
namespace {

// QEMU answers between two of its main loop's rounds. While it pins or frees a guest's memory that takes
// long, and then no monitor is answered.
constexpr Milliseconds answers_within{5'000};

// QEMU writes a line at once, but a full socket takes it in parts.
constexpr Milliseconds rest_of_a_line_comes_within{20};

Error broken(const std::string& fact, ErrorKind kind = ErrorKind::failed)
{
    return Error(kind, {"QEMU's monitor " + fact});
}

} // namespace

void wait_readable(const std::vector<int>& files, Milliseconds timeout)
{
    std::vector<pollfd> waits;
    waits.reserve(files.size());
    for (const int file : files) waits.push_back({file, POLLIN, 0});
    poll(waits.data(), waits.size(), static_cast<int>(std::max(timeout, Milliseconds(0)).count()));
}

bool is_readable(int file)
{
    pollfd wait{file, POLLIN, 0};
    return file >= 0 && poll(&wait, 1, 0) > 0;
}

std::vector<std::string> own_sockets(const SysReader& reader, const Process& qemu)
{
    // "Num RefCount Protocol Flags Type St Inode Path" (unix_seq_show in the kernel's net/unix/af_unix.c);
    // the flag is __SO_ACCEPTCON.
    constexpr std::string_view listens = "00010000";
    constexpr std::size_t flags = 3, inode = 6, path = 7;
    std::map<std::string, std::string, std::less<>> listening; // by the link of a descriptor
    const auto table = reader.read(paths::process(qemu.pid, "net/unix")).value_or("");
    for (LineReader lines(table); lines.next();) {
        const auto words = words_of(lines.line());
        if (words.size() > path && words[flags] == listens &&
            last_name(words[path]).starts_with("qemu-socket-"))
            listening["socket:[" + std::string(words[inode]) + "]"] = words[path];
    }
    std::vector<std::string> found;
    if (listening.empty()) return found;
    const auto files = paths::process(qemu.pid, "fd");
    for (const auto& file : reader.list(files)) {
        const auto socket = listening.find(reader.read_link(paths::join(files, file)).value_or(""));
        if (socket != listening.end()) found.push_back(socket->second);
    }
    return found;
}

Monitor::Monitor(int descriptor) : socket_(descriptor) {}

std::unique_ptr<Monitor> Monitor::open(const std::string& path, pid_t qemu)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return nullptr;
    std::ranges::copy(path, std::begin(address.sun_path));
    auto monitor = std::make_unique<Monitor>(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // NOLINTNEXTLINE(*-reinterpret-cast): the socket interface's own way
    const auto* const where = reinterpret_cast<const sockaddr*>(&address);
    if (connect(monitor->descriptor(), where, sizeof address) != 0) return nullptr;
    if (monitor->peer() != qemu) return nullptr;
    const auto nobody = [](const QmpMessage&) {};
    monitor->await([](const QmpMessage& one) { return one.kind == QmpMessage::Kind::greeting; }, nobody);
    monitor->execute("qmp_capabilities", {}, nobody);
    const auto list = monitor->execute("query-chardev", {}, nobody);
    return has_chardev(list.body, monitor_name, path) ? std::move(monitor) : nullptr;
}

pid_t Monitor::peer() const
{
    ucred credentials{};
    socklen_t size = sizeof credentials;
    const bool known = getsockopt(descriptor(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    return known && credentials.uid == geteuid() ? credentials.pid : 0;
}

void Monitor::wait(std::vector<int> others, Milliseconds timeout) const
{
    if (part_of_a_line_) { // it is readable all the time, and what is missing comes soon
        timeout = std::min(timeout, rest_of_a_line_comes_within);
    } else {
        others.push_back(descriptor());
    }
    wait_readable(others, timeout);
}

std::optional<QmpMessage> Monitor::next()
{
    std::array<char, longest_qmp_line + 1> buffer; // NOLINT(*-member-init): filled by recv
    const ssize_t count = recv(descriptor(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
    part_of_a_line_ = false;
    length_ = 0;
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    if (count <= 0) {
        ended_ = true;
        return std::nullopt;
    }
    const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    const auto end = text.find('\n');
    if (end == std::string_view::npos) {
        if (text.size() > longest_qmp_line) throw broken("sends a line of more than 64 KiB");
        part_of_a_line_ = true;
        return std::nullopt;
    }
    length_ = end + 1;
    auto message = parse_qmp(text.substr(0, end));
    if (!message) throw broken("sends what is no message: " + quote(text.substr(0, end)));
    return message;
}

void Monitor::take()
{
    std::array<char, longest_qmp_line + 1> buffer; // NOLINT(*-member-init): filled by recv
    if (length_ > 0) recv(descriptor(), buffer.data(), length_, MSG_DONTWAIT);
    length_ = 0;
}

QmpMessage Monitor::await(const std::function<bool(const QmpMessage&)>& wanted, const OnEvent& on_event)
{
    const auto deadline = clock_now() + answers_within;
    for (;;) {
        if (auto message = next()) {
            if (message->kind == QmpMessage::Kind::event) on_event(*message);
            take();
            if (wanted(*message)) return *message;
        } else if (ended_) {
            throw broken("was closed");
        } else {
            wait({}, std::chrono::duration_cast<Milliseconds>(deadline - clock_now()) + Milliseconds(1));
        }
        if (clock_now() >= deadline)
            throw broken("does not answer within " + in_seconds(answers_within), ErrorKind::timed_out);
    }
}

void Monitor::send(const std::string& text) const
{
    const auto sent = ::send(descriptor(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // Of a QEMU that has ended the last words are still to be read; who waits for its answer hears them.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (sent != static_cast<ssize_t>(text.size())) throw broken("takes no command");
}

// An answer that an earlier reader of this connection has not seen has another id: it had another pid.
QmpMessage Monitor::execute(std::string_view command, const Json& arguments, const OnEvent& on_event)
{
    const auto id = std::to_string(getpid()) + "-" + std::to_string(++commands_);
    send(qmp_command(command, arguments, id));
    return await(
        [&](const QmpMessage& one) {
            using Kind = QmpMessage::Kind;
            return (one.kind == Kind::answer || one.kind == Kind::refusal) && one.id == id;
        },
        on_event);
}

void Monitor::say_and_forget(std::string_view command, const Json& arguments) const
{
    try {
        send(qmp_command(command, arguments, "last"));
    } catch (const Error&) { // it was worth a try
    }
}

} // namespace pvegpu
