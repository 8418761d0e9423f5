#include "fake_incus.hpp"

#include "base/text.hpp"
#include "incus/instance.hpp"

#include <functional>
#include <stdexcept>

namespace pvegpu::testing {
namespace {

constexpr const char* socket_path = "/var/lib/incus/unix.socket";

std::string http(const std::string& body, const std::string& etag = "", unsigned status = 200)
{
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
           (etag.empty() ? "" : "Etag: \"" + etag + "\"\r\n") +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string sync(const Json& metadata, const std::string& etag = "")
{
    return http(Json{{"type", "sync"},
                     {"status", "Success"},
                     {"status_code", 200},
                     {"operation", ""},
                     {"error_code", 0},
                     {"error", ""},
                     {"metadata", metadata}}
                    .dump(),
                etag);
}

// Incus tells of an operation that failed with HTTP 200.
std::string error(unsigned code, const std::string& text, unsigned status = 0)
{
    return http(Json{{"type", "error"},
                     {"status", ""},
                     {"status_code", 0},
                     {"operation", ""},
                     {"error_code", code},
                     {"error", text},
                     {"metadata", nullptr}}
                    .dump(),
                "", status == 0 ? code : status);
}

// It covers all but the description.
std::string etag_of(Json instance)
{
    instance.erase("description");
    return to_hex(static_cast<unsigned>(std::hash<std::string>()(instance.dump())), 8);
}

std::string header_in(const std::string& request, const std::string& name)
{
    for (LineReader lines(request); lines.next();)
        if (lines.line().starts_with(name + ": "))
            return std::string(trim(lines.line().substr(name.size() + 2)));
    return "";
}

} // namespace

FakeIncus::FakeIncus(FakeSystem& machine) : machine_(machine)
{
    machine.add_daemon(socket_path, [this](const std::string& request) { return answer(request); });
}

FakeIncus& FakeIncus::on(FakeSystem& machine)
{
    const auto daemon = std::make_shared<FakeIncus>(machine);
    machine.add_daemon(socket_path, [daemon](const std::string& request) { return daemon->answer(request); });
    return *daemon;
}

Json& FakeIncus::add_vm(const std::string& name, const Json& devices, const std::string& project)
{
    return instances_[project + "/" + name] = {
               {"architecture", "x86_64"},    {"config", {{"limits.memory", "64MiB"}}},
               {"devices", devices},          {"ephemeral", false},
               {"profiles", {"default"}},     {"stateful", false},
               {"description", "mine"},       {"expanded_config", {{"limits.memory", "64MiB"}}},
               {"expanded_devices", devices}, {"name", name},
               {"status", "Stopped"},         {"status_code", 102},
               {"location", "none"},          {"type", "virtual-machine"},
               {"project", project}};
}

Json& FakeIncus::instance(const std::string& name, const std::string& project)
{
    return instances_.at(project + "/" + name);
}

void FakeIncus::fail_start(const std::string& text, int times)
{
    start_error_ = text;
    failures_ = times;
}

std::string FakeIncus::begin(const std::string& failure, const Json& metadata)
{
    const auto number = std::to_string(++operations_);
    ended_[number] = {failure, metadata};
    const auto path = "/1.0/operations/" + number;
    return http(Json{{"type", "async"},
                     {"status", "Operation created"},
                     {"status_code", 100},
                     {"operation", path},
                     {"error_code", 0},
                     {"error", ""},
                     {"metadata", {{"id", number}, {"status", "Running"}, {"err", ""}}}}
                    .dump(),
                "", 202);
}

// PUT: what is left out is emptied.
std::string FakeIncus::put_instance(Json& instance, const Json& body, const std::string& if_match)
{
    const auto now = "\"" + etag_of(instance) + "\"";
    if (!if_match.empty() && if_match != now)
        return error(412, "ETag doesn't match: " + now + " vs " + if_match);
    const bool runs = instance["status"] != "Stopped";
    const auto devices = body.value("devices", Json::object());
    if (runs && devices != instance["devices"])
        return begin("Failed to stop device \"gpu\": Device cannot be stopped when instance is running");
    instance["profiles"] = body.value("profiles", Json::array());
    instance["description"] = body.value("description", "");
    instance["config"] = instance["expanded_config"] = body.value("config", Json::object());
    // A profile's devices are those that the test has put into expanded_devices alone.
    auto expanded = instance["expanded_devices"];
    for (const auto& [name, options] : instance["devices"].items()) expanded.erase(name);
    if (instance.contains("of_profile"))
        for (const auto& [name, options] : instance["of_profile"].items()) expanded[name] = options;
    for (const auto& [name, options] : devices.items()) expanded[name] = options;
    instance["devices"] = devices;
    instance["expanded_devices"] = expanded;
    return begin("");
}

// unbind, driver_override, drivers_probe, whoever has it: 6.0.4 and LXD.
void FakeIncus::bind(const std::string& address)
{
    const auto path = "/sys/bus/pci/devices/" + address;
    constexpr Milliseconds soon{5'000};
    if (!machine_.driver_of(address).empty()) machine_.write(path + "/driver/unbind", address, soon);
    machine_.write(path + "/driver_override", "vfio-pci", soon);
    machine_.write("/sys/bus/pci/drivers_probe", address, soon);
}

// As recorded of a container, for which the same code makes the answers.
std::string FakeIncus::exec(const Json& body)
{
    if (!inside_) return begin("VM agent isn't currently running");
    auto words = body.at("command").get<std::vector<std::string>>();
    const auto [status, text] = inside_({words.begin() + 2, words.end()}); // behind "timeout 25"
    const auto path = "/1.0/instances/web/logs/exec-output/exec_" + std::to_string(operations_) + ".stdout";
    files_[path] = text;
    return begin("", {{"output", {{"1", path}}}, {"return", status}});
}

std::string FakeIncus::start(Json& instance)
{
    if (instance["status"] != "Stopped") return begin("The instance is already running");
    if (failures_ > 0) {
        --failures_;
        return begin(start_error_);
    }
    const auto name = instance["name"].get<std::string>(), project = instance["project"].get<std::string>();
    const auto pid = next_qemu_++;
    for (const auto& line : as_guest_config(machine_, parse_instance(instance, socket_path)).hostpci)
        for (const auto& selector : line.hosts)
            for (const auto& address : machine_.list("/sys/bus/pci/devices"))
                if (selector.matches(address)) {
                    bind(address);
                    machine_.open_vfio(address, pid, "qemu-system-x86");
                }
    const auto directory = (project == "default" ? "" : project + "_") + name;
    machine_.file("/run/incus/" + directory + "/qemu.pid", std::to_string(pid) + "\n");
    instance["status"] = "Running";
    instance["config"]["volatile.last_state.power"] =
        instance["expanded_config"]["volatile.last_state.power"] = "RUNNING";
    instance["qemu"] = pid;
    return begin("");
}

void FakeIncus::stop(const std::string& name)
{
    auto& one = instance(name);
    for (const auto& line : as_guest_config(machine_, parse_instance(one, socket_path)).hostpci)
        for (const auto& selector : line.hosts)
            for (const auto& address : machine_.list("/sys/bus/pci/devices"))
                if (selector.matches(address)) machine_.close_vfio(address);
    machine_.end_process(one["qemu"].get<pid_t>());
    one["status"] = "Stopped";
    one["config"]["volatile.last_state.power"] = one["expanded_config"]["volatile.last_state.power"] =
        "STOPPED";
}

std::optional<std::string> FakeIncus::answer(const std::string& request)
{
    const auto line = request.substr(0, request.find(" HTTP/"));
    asked_.push_back(line);
    for (const auto& part : silent_)
        if (line.find(part) != std::string::npos) return std::nullopt;
    for (auto event = events_.begin(); event != events_.end(); ++event)
        if (line.find(event->first) != std::string::npos) {
            const auto happens = std::move(event->second);
            events_.erase(event);
            happens();
            break;
        }
    const auto parts = split_once(line, ' ').value();
    const std::string method(parts.first), target(parts.second);
    const auto path = target.substr(0, target.find('?'));
    const auto body = Json::parse(request.substr(request.find("\r\n\r\n") + 4), nullptr, false);
    if (path == "/1.0")
        return sync(
            {{"environment", {{"server", "incus"}, {"server_version", "6.0.4"}, {"server_name", "pve1"}}}});
    if (path == "/1.0/operations" && at_.empty()) return sync(Json::object());
    if (path == "/1.0/operations")
        return sync(
            {{"running", Json::array({{{"resources", {{"instances", {"/1.0/instances/" + at_}}}}}})}});
    if (path.starts_with("/1.0/operations/")) {
        const auto number = split(std::string_view(path).substr(16), '/').front();
        const auto found = ended_.find(std::string(number));
        if (found == ended_.end() || forgets_) return error(404, "Operation not found");
        if (!found->second.first.empty()) return error(500, found->second.first, 200);
        return sync({{"status", "Success"}, {"err", ""}, {"metadata", found->second.second}});
    }
    if (path == "/1.0/instances") {
        Json all = Json::array();
        const bool whole = target.find("recursion=1") != std::string::npos;
        for (const auto& [key, one] : instances_)
            all.push_back(whole ? one
                                : Json("/1.0/instances/" + one["name"].get<std::string>() +
                                       "?project=" + one["project"].get<std::string>()));
        return sync(all);
    }
    const auto words = split(std::string_view(path).substr(1), '/');
    const auto query = target.find("project=");
    const auto project = query == std::string::npos ? "default" : target.substr(query + 8);
    const auto found = instances_.find(project + "/" + std::string(words.at(2)));
    if (found == instances_.end())
        return error(404, "Failed to fetch instance \"" + std::string(words[2]) + "\" in project \"" +
                              project + "\": Instance not found");
    auto& one = found->second;
    if (const auto file = files_.find(path); file != files_.end()) {
        const auto text = file->second;
        if (method == "DELETE") files_.erase(file);
        return method == "DELETE" ? sync(nullptr) : http(text);
    }
    if (words.size() == 4 && words[3] == "exec") return exec(body);
    if (words.size() == 5 && words[3] == "logs") return http(log_);
    if (words.size() == 4 && words[3] == "state" && method == "PUT") return start(one);
    if (words.size() == 3 && method == "GET") return sync(one, etag_of(one));
    if (words.size() == 3 && method == "PUT") return put_instance(one, body, header_in(request, "If-Match"));
    throw std::runtime_error("the fake daemon knows no " + line);
}

} // namespace pvegpu::testing
