#include "incus/daemon.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/deadline.hpp"
#include "machine/paths.hpp"

#include <array>
#include <cerrno>

namespace pvegpu {
namespace {

// A list of some hundred instances with all their settings has 2 MiB.
constexpr std::size_t most_bytes = 32U << 20U;

// Of a request that waits: short enough to see soon that the daemon has gone.
constexpr unsigned wait_slice_seconds = 10;
constexpr Milliseconds slice_answered_within{(wait_slice_seconds + 10) * 1000};
constexpr Milliseconds before_asking_again{500};

constexpr std::string_view waited_long_enough = "context deadline exceeded";

std::string service_of(const std::string& socket)
{
    return socket == paths::lxd_snap_socket ? "snap.lxd.daemon"
           : socket == paths::lxd_socket    ? "lxd"
                                            : "incus";
}

[[noreturn]] void refuse(const SysResult& outcome, const std::string& socket, const std::string& product,
                         Milliseconds within)
{
    const auto look = "see 'systemctl status " + service_of(socket) + "'";
    if (outcome.still_running())
        throw Error(ErrorKind::timed_out, {product + " has not answered within " + in_seconds(within), look},
                    socket);
    if (outcome.only_listed) throw Error(ErrorKind::failed, {product + " is not asked in a dry run"}, socket);
    const bool nobody = outcome.error_number == ENOENT || outcome.error_number == ECONNREFUSED;
    throw Error(nobody ? ErrorKind::not_found : ErrorKind::failed,
                {product + (nobody ? " is not running" : " cannot be asked"), look}, socket,
                outcome.error_number);
}

// {"type":"sync"|"async"|"error","error_code":0,"error":"","operation":"","metadata":...}
DaemonAnswer parse_answer(const HttpAnswer& http, const std::string& socket, const std::string& product)
{
    const auto json = Json::parse(http.body, nullptr, false);
    const auto type = text_in(json, "type");
    if (type != "sync" && type != "async" && type != "error")
        throw Error(ErrorKind::failed,
                    {product + " answers something else than its API has (HTTP status " +
                     std::to_string(http.status) + ")"},
                    socket);
    DaemonAnswer answer;
    answer.error = text_in(json, "error");
    answer.error_code = whole_number<unsigned>(member(json, "error_code")).value_or(0);
    if (type == "error" && answer.error_code == 0) answer.error_code = http.status;
    answer.metadata = member(json, "metadata");
    answer.etag = http.etag;
    if (type == "async") answer.operation = text_in(json, "operation");
    return answer;
}

// Throws Error where it is none.
DaemonAnswer answer_in(const SysResult& outcome, const std::string& socket, const std::string& product,
                       Milliseconds within)
{
    if (!outcome.done() || outcome.only_listed) refuse(outcome, socket, product, within);
    const auto http = parse_http(outcome.text);
    if (!http)
        throw Error(ErrorKind::failed, {product + " has closed the connection before it had answered"},
                    socket);
    return parse_answer(*http, socket, product);
}

OperationEnd end_of(const Json& operation)
{
    using How = OperationEnd::How;
    const auto status = text_in(operation, "status");
    if (status == "Success") return {How::well, "", member(operation, "metadata")};
    if (status == "Failure" || status == "Cancelled") return {How::badly, text_in(operation, "err"), {}};
    return {How::goes_on, "", {}};
}

} // namespace

DaemonReader::DaemonReader(const SysReader& reader, std::string socket)
    : reader_(reader), socket_(std::move(socket))
{
}

std::string DaemonReader::product() const
{
    return service_of(socket_) == "incus" ? "Incus" : "LXD";
}

std::string DaemonReader::tool() const
{
    return service_of(socket_) == "incus" ? "incus" : "lxc";
}

DaemonAnswer DaemonReader::ask(const std::string& path, Milliseconds within) const
{
    const auto outcome = reader_.ask(socket_, print_http({"GET", path}), most_bytes, within);
    return answer_in(outcome, socket_, product(), within);
}

DaemonAnswer DaemonReader::get(const std::string& path, Milliseconds within) const
{
    auto answer = ask(path, within);
    constexpr unsigned not_found = 404;
    if (answer.failed())
        throw Error(answer.error_code == not_found ? ErrorKind::not_found : ErrorKind::failed,
                    {product() + ": " + answer.error});
    return answer;
}

std::optional<std::string> DaemonReader::get_file(const std::string& path) const
{
    const auto outcome = reader_.ask(socket_, print_http({"GET", path}), most_bytes, daemon_answers_within);
    auto http = outcome.done() ? parse_http(outcome.text) : std::nullopt;
    constexpr unsigned ok = 200;
    if (!http || http->status != ok) return std::nullopt;
    return std::move(http->body);
}

DaemonAnswer Daemon::tell(const HttpRequest& request)
{
    const auto outcome = system_.tell(socket(), print_http(request), most_bytes, daemon_answers_within);
    return answer_in(outcome, socket(), product(), daemon_answers_within);
}

OperationEnd Daemon::wait(const std::string& operation, Milliseconds within)
{
    const auto end = system_.now() + within;
    constexpr unsigned not_found = 404;
    const auto a_moment = [this] { system_.wait_until([] { return false; }, before_asking_again); };
    while (system_.now() < end) {
        try {
            auto answer =
                ask(operation + "/wait?timeout=" + std::to_string(wait_slice_seconds), slice_answered_within);
            if (answer.failed() && answer.error.find(waited_long_enough) != std::string::npos)
                answer = ask(operation); // its own time was up, or that of what it does: it tells
            if (answer.error_code == not_found) return {OperationEnd::How::unknown, "", {}};
            if (answer.failed()) return {OperationEnd::How::badly, answer.error, {}};
            if (auto how = end_of(answer.metadata); how.how != OperationEnd::How::goes_on) return how;
        } catch (const Error& error) {
            if (error.reason() == ErrorKind::interrupted) throw;
            a_moment(); // it has gone in between, or is busy
        }
    }
    return {OperationEnd::How::goes_on, "", {}};
}

void Daemon::change(const HttpRequest& request, Milliseconds within)
{
    const auto answer = tell(request);
    const auto fail = [&](const std::string& text) {
        throw Error(ErrorKind::failed, {product() + " refuses the change: " + text});
    };
    if (answer.failed()) fail(answer.error);
    if (answer.operation.empty()) return;
    const auto end = wait(answer.operation, within);
    if (end.how == OperationEnd::How::badly) fail(end.error);
    if (end.how == OperationEnd::How::goes_on)
        throw Error(ErrorKind::timed_out,
                    {product() + " is at the change for more than " + in_seconds(within),
                     "see '" + tool() + " operation list'"});
}

std::vector<std::string> daemon_sockets(const SysReader& reader)
{
    std::vector<std::string> sockets;
    for (const auto socket : {paths::incus_socket, paths::lxd_socket, paths::lxd_snap_socket})
        if (reader.exists(std::string(socket))) sockets.emplace_back(socket);
    return sockets;
}

} // namespace pvegpu
