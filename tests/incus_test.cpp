// VMs of Incus and LXD: what their daemons' recorded answers are read as, and what our commands do with them.
#include "base/text.hpp"
#include "catch.hpp"
#include "commands/commands.hpp"
#include "fake_incus.hpp"
#include "has.hpp"
#include "host/survey.hpp"
#include "incus/attached_instance.hpp"
#include "incus/boot_unit.hpp"
#include "incus/daemon.hpp"
#include "incus/instance.hpp"
#include "incus/start.hpp"
#include "incus/taken_devices.hpp"
#include "install_hosts.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "printed_console.hpp"
#include "usage/holders.hpp"
#include "usage/instances.hpp"

#include <fstream>
#include <sstream>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr const char* socket_path = "/var/lib/incus/unix.socket";

// A recorded exchange: request, blank line, status and headers, blank line, body.
struct Recorded {
    std::string method, target, answer;
};

Recorded recorded(const std::string& daemon, const std::string& file)
{
    std::ostringstream all;
    all << std::ifstream(std::string(TESTS_DIR) + "/incus/" + daemon + "/" + file + ".http", std::ios::binary)
               .rdbuf();
    const auto text = all.str();
    REQUIRE_FALSE(text.empty());
    const auto request = text.find("\n\n"), head = text.find("\n\n", request + 2);
    Recorded one;
    std::istringstream(text) >> one.method >> one.target;
    std::string headers;
    for (const char c : text.substr(request + 2, head - request - 2))
        headers += c == '\n' ? std::string("\r\n") : std::string(1, c);
    one.answer = headers + "\r\n\r\n" +
                 text.substr(head + 2, text.size() - head - 3); // the record ends in a line of its own
    return one;
}

// A machine whose daemon gives these answers, one after the other.
struct Replayed {
    FakeSystem machine;
    std::vector<std::string> requests;

    Replayed(const std::string& daemon, const std::vector<std::string>& files)
    {
        std::vector<std::string> answers;
        for (const auto& file : files) answers.push_back(recorded(daemon, file).answer);
        machine.add_daemon(
            socket_path, [this, answers](const std::string& request) -> std::optional<std::string> {
                requests.push_back(request.substr(0, request.find(" HTTP/")));
                return requests.size() > answers.size() ? std::nullopt
                                                        : std::optional(answers[requests.size() - 1]);
            });
    }
};

// In whatever order.
nlohmann::json plain(const Json& json)
{
    return nlohmann::json::parse(json.dump());
}

std::string failure(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

// Node pve1 with an Arc card and a VM of Incus that has its GPU and the audio of the second bus.
struct IncusHost {
    FakeSystem machine;
    FakeIncus incus{machine};
    const InstanceName web{"default", "web"};
    const Json devices{{"root", {{"type", "disk"}, {"path", "/"}}},
                       {"gpu", {{"type", "gpu"}, {"gputype", "physical"}, {"pci", "03:00.0"}}},
                       {"audio", {{"type", "pci"}, {"address", "0000:04:00.0"}}}};

    IncusHost()
    {
        add_arc(machine);
        machine.file("/proc/sys/kernel/hostname", "pve1\n");
        incus.add_vm("web", devices);
    }
};

} // namespace

TEST_CASE("an instance is called by its name, and by its project where that is not the default one",
          "[incus]")
{
    CHECK(parse_instance_name("web")->text() == "web");
    CHECK(parse_instance_name("lab/db")->text() == "lab/db");
    CHECK(parse_instance_name("default/web")->text() == "web");
    for (const auto* wrong : {"", "/", "lab/", "/web", "-web", "web-", "a_b", "101", "web/../x", "../web",
                              "a/b/c", "we b", "w\"eb"})
        CHECK_FALSE(parse_instance_name(wrong));
    const auto web = number_of({"default", "web"});
    CHECK(is_instance(web));
    CHECK(web == number_of(*parse_instance_name("default/web")));
    CHECK(web != number_of({"lab", "web"}));
    CHECK_FALSE(is_instance(999'999'999));
}

TEST_CASE("a unit's name is escaped as systemd does it", "[incus]")
{
    // systemd-escape --template=pve-gpu-incus@.service lab/web-1
    CHECK(boot_unit({"lab", "web-1"}) == "pve-gpu-incus@lab-web\\x2d1.service");
    CHECK(boot_unit({"default", "web"}) == "pve-gpu-incus@web.service");
}

TEST_CASE("what real daemons answer is read", "[incus]")
{
    const std::string daemon = GENERATE("incus-6.0.4", "lxd-5.0.2");
    CAPTURE(daemon);
    const auto read = [&](const std::string& file, const std::string& path) {
        Replayed host(daemon, {file});
        auto answer = DaemonReader(host.machine, socket_path).ask(path);
        REQUIRE(host.requests.size() == 1);
        return answer;
    };

    SECTION("a stopped VM with its devices, its ETag and all that a change has to send back")
    {
        Replayed host(daemon, {"27-stopped"});
        const auto web = read_instance(DaemonReader(host.machine, socket_path), {"default", "web"});
        CHECK(host.requests.front() == "GET /1.0/instances/web?project=default");
        CHECK(web.is_vm);
        CHECK(web.stopped());
        CHECK(web.etag.size() == 66);
        CHECK(web.own.at("audio") == Texts{{"type", "pci"}, {"address", "04:00.0"}});
        CHECK(web.own.at("gpu").at("pci") == "0000:03:00.0");
        const auto body = Json::parse(body_with(web, {}, web.own_config));
        for (const auto* key :
             {"architecture", "config", "devices", "ephemeral", "profiles", "stateful", "description"})
            CHECK(body.contains(key));
        CHECK(body["profiles"] == Json{"default"});
        CHECK(body["config"]["limits.memory"] == "64MiB");
    }
    SECTION("a profile's device is among all of them, and not among its own")
    {
        Replayed host(daemon, {"23-instance-of-a-project"});
        const auto db = read_instance(DaemonReader(host.machine, socket_path), {"lab", "db"});
        CHECK(host.requests.front() == "GET /1.0/instances/db?project=lab");
        CHECK(db.all.at("card").at("pci") == "0000:08:00.0");
        CHECK_FALSE(db.own.contains("card"));
        CHECK(db.name.text() == "lab/db");
    }
    SECTION("the list of all projects")
    {
        Replayed host(daemon, {"11-server", "20-instances"});
        const auto list = list_instances(DaemonReader(host.machine, socket_path));
        CHECK(has(list.server, daemon == "incus-6.0.4" ? " 6.0.4" : " 5.0.2"));
        REQUIRE(list.instances.size() == 2);
        CHECK(list.silent.empty());
    }
    SECTION("no such instance")
    {
        Replayed host(daemon, {"24-no-such-instance"});
        const auto said = failure([&] {
            read_instance(DaemonReader(host.machine, socket_path), {"default", "db"});
        });
        CHECK(has(said, "Incus has no instance 'db'; see 'incus list --all-projects'"));
    }
    SECTION("a change of an older state is refused with its own code")
    {
        CHECK(read("30-put-conflict", "/x").error_code == 412);
        CHECK(read("33-patch-conflict", "/x").error_code == 412);
    }
    SECTION("an operation is waited for, whatever the HTTP status of a failed one")
    {
        const auto end_with = [&](const std::vector<std::string>& files) {
            Replayed host(daemon, files);
            return Daemon(host.machine, socket_path).wait("/1.0/operations/x", Milliseconds(60'000));
        };
        CHECK(end_with({"47-start-wait"}).how == OperationEnd::How::well);
        const auto failed = end_with({"44-start-vfio-does-not-bind-wait"});
        CHECK(failed.how == OperationEnd::How::badly);
        CHECK(has(failed.error, "Device took too long to activate"));
        CHECK(end_with({"70-no-such-operation"}).how == OperationEnd::How::unknown);
        CHECK(end_with({"51-start-again-wait"}).error == "The instance is already running");
        // Its own time was up: the operation itself tells that it goes on, and the next slice that it has
        // ended.
        CHECK(end_with({"58-start-with-a-card-in-use-wait", "59-start-with-a-card-in-use-operation",
                        "47-start-wait"})
                  .how == OperationEnd::How::well);
    }
    SECTION("who is being started is in the list of operations")
    {
        Replayed host(daemon, {"61-operations"});
        CHECK(in_operations(DaemonReader(host.machine, socket_path)) ==
              std::vector<InstanceName>{{"default", "third"}});
    }
    SECTION("a program inside: what it printed, and how it ended")
    {
        const auto answer = read("76-exec-wait", "/x");
        CHECK(whole_number<unsigned>(answer.metadata.at("metadata").at("return")) == 3U);
        Replayed host(daemon, {"77-exec-stdout", "81-exec-stdout-gone"});
        const DaemonReader reader(host.machine, socket_path);
        CHECK(reader.get_file("/x") == "out\n");
        CHECK_FALSE(reader.get_file("/x"));
    }
    SECTION("QEMU's own words are in its log")
    {
        Replayed host(daemon, {"67-logs-qemu"});
        Instance third;
        third.name = {"default", "third"};
        const auto failure = failure_of(DaemonReader(host.machine, socket_path), third,
                                        "Failed to run: forklimits limit=memlock:unlimited:unlimited fd=3 -- "
                                        "/usr/bin/qemu-system-x86_64 -S: : exit status 1");
        CHECK(has(failure.reason, "QEMU says: "));
        CHECK(has(failure.reason, "Could not open '/dev/vfio/"));
        CHECK(failure.card);
    }
}

TEST_CASE("the fake daemon answers as the real one did", "[incus]")
{
    IncusHost host;
    const auto web = "/1.0/instances/web?project=default", state = "/1.0/instances/web/state?project=default";
    std::string etag, operation;
    // What an answer is told by: HTTP status, type, code and words of an error, whether an operation goes on
    // behind it, and the ETag.
    const auto facts = [](const std::string& answer) {
        const auto http = parse_http(answer).value();
        const auto json = Json::parse(http.body);
        return Json{{"status", http.status},
                    {"type", json["type"]},
                    {"error_code", json["error_code"]},
                    {"error", json["error_code"] == 412 ? Json("conflict") : json["error"]},
                    {"etag", !http.etag.empty()},
                    {"operation", json["operation"] != ""},
                    {"of_operation", json["metadata"].is_object() && json["metadata"].contains("err")
                                         ? json["metadata"]["status"]
                                         : Json()}};
    };
    const auto ask = [&](const HttpRequest& request) {
        constexpr std::size_t most = 1U << 20U;
        const auto answer =
            host.machine.ask(socket_path, print_http(request), most, Milliseconds(1'000)).text;
        const auto http = parse_http(answer).value();
        if (!http.etag.empty()) etag = http.etag;
        if (const auto begun = text_in(Json::parse(http.body), "operation"); !begun.empty())
            operation = begun;
        return answer;
    };
    const auto compare = [&](const std::string& file, const HttpRequest& request) {
        CAPTURE(file);
        CHECK(facts(ask(request)) == facts(recorded("incus-6.0.4", file).answer));
    };
    const auto wait = [&] { return HttpRequest{"GET", operation + "/wait?timeout=60"}; };
    const std::string start = R"({"action": "start"})";
    const HttpRequest exec{"POST", "/1.0/instances/web/exec?project=default",
                           R"({"command": ["a", "b", "true"]})"};

    compare("24-no-such-instance", {"GET", "/1.0/instances/db?project=default"});
    compare("27-stopped", {"GET", web});
    const auto before = etag;
    const auto real = Json::parse(parse_http(recorded("incus-6.0.4", "27-stopped").answer)->body)["metadata"];
    for (const auto& [key, value] : host.incus.instance("web").items()) {
        CAPTURE(key);
        REQUIRE(real.contains(key));
        CHECK((real[key].type() == value.type() || (real[key].is_number() && value.is_number())));
    }
    auto body = host.incus.instance("web");
    body["devices"].erase("audio");
    compare("28-put-devices-away", {"PUT", web, body.dump(), before});
    compare("29-put-devices-away-wait", wait());
    compare("30-put-conflict", {"PUT", web, body.dump(), before});
    body["devices"] = host.devices;
    ask({"PUT", web, body.dump()});
    compare("46-start", {"PUT", state, start});
    compare("47-start-wait", wait());
    compare("50-start-again", {"PUT", state, start});
    compare("51-start-again-wait", wait());
    compare("53-exec-without-agent", exec);
    compare("54-exec-without-agent-wait", wait());
    compare("70-no-such-operation", {"GET", "/1.0/operations/0/wait?timeout=1"});
}

TEST_CASE("answers that are none are said to be none", "[incus]")
{
    const auto said_of = [](const std::optional<std::string>& answer) {
        FakeSystem machine;
        machine.add_daemon(socket_path, [answer](const std::string&) { return answer; });
        return failure([&] { DaemonReader(machine, socket_path).get("/1.0"); });
    };
    CHECK(has(said_of(""), "Incus has closed the connection before it had answered"));
    CHECK(has(said_of("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), "has closed the connection"));
    CHECK(has(said_of("HTTP/1.1 200 OK\r\n\r\n<html>"),
              "answers something else than its API has (HTTP status 200)"));
    CHECK(has(said_of("HTTP/1.1 200 OK\r\n\r\n[]"), "answers something else"));
    CHECK(has(said_of("SSH-2.0-x\r\n"), "has closed the connection"));
    CHECK(has(said_of(std::nullopt), "Incus has not answered within 20 s; see 'systemctl status incus'"));
    FakeSystem nobody;
    CHECK(has(failure([&] { DaemonReader(nobody, socket_path).get("/1.0"); }), "Incus is not running"));
    FakeSystem closed;
    closed.file("/var/snap/lxd/common/lxd/unix.socket", "");
    CHECK(has(failure([&] { DaemonReader(closed, "/var/snap/lxd/common/lxd/unix.socket").get("/1.0"); }),
              "LXD is not running (Connection refused); see 'systemctl status snap.lxd.daemon'"));
}

TEST_CASE("a VM's devices are lines as Proxmox has them", "[incus]")
{
    IncusHost host;
    const auto lines_of = [&](const Json& devices) {
        auto& one = host.incus.add_vm("other", devices);
        return as_guest_config(host.machine, parse_instance(one, socket_path)).hostpci;
    };
    SECTION("a gpu gives all of its slot, a pci device its one function")
    {
        const auto lines = lines_of(host.devices);
        REQUIRE(lines.size() == 2);
        CHECK(lines[0].key() == "audio");
        CHECK(lines[0].hosts.front().text == "0000:04:00.0");
        CHECK(lines[1].key() == "gpu");
        CHECK(lines[1].hosts.front().text == "0000:03:00");
    }
    SECTION("what is in another group of the slot stays")
    {
        add_slot(host.machine, {.bus = 0x06, .group = 30});
        host.machine.set_group(31, {"0000:06:00.1"});
        const auto lines = lines_of({{"gpu", {{"type", "gpu"}, {"pci", "0000:06:00.0"}}}});
        REQUIRE(lines.front().hosts.size() == 1);
        CHECK(lines.front().hosts.front().text == "0000:06:00.0");
    }
    SECTION("a gpu without an address is the only one that it can be, or none")
    {
        CHECK(lines_of({{"gpu", {{"type", "gpu"}}}}).front().hosts.front().text == "0000:03:00");
        CHECK(lines_of({{"gpu", {{"type", "gpu"}, {"vendorid", "8086"}}}}).front().hosts.front().text ==
              "0000:03:00");
        const auto none = lines_of({{"gpu", {{"type", "gpu"}, {"vendorid", "10de"}}}}).front();
        REQUIRE(none.start_error);
        CHECK(has(none.start_error->fact, "names no address, and 0 GPUs of this host would do"));
        add_slot(host.machine, {.bus = 0x06});
        const auto two = lines_of({{"gpu", {{"type", "gpu"}}}}).front();
        REQUIRE(two.start_error);
        CHECK(to_string(*two.start_error) ==
              "the device 'gpu' names no address, and 2 GPUs of this host would do; name one: "
              "'incus config device set other gpu pci=ADDRESS'");
    }
    SECTION("a part of a GPU is no GPU that is passed")
    {
        CHECK(
            lines_of({{"gpu", {{"type", "gpu"}, {"gputype", "mdev"}, {"mdev", "i915-GVTg_V5_4"}}}}).empty());
        CHECK(lines_of({{"usb", {{"type", "usb"}}}}).empty());
    }
    SECTION("an address that is none is Incus' own error")
    {
        CHECK(lines_of({{"x", {{"type", "pci"}, {"address", "3:0.0"}}}}).front().start_error);
    }
}

TEST_CASE("a device whose name is no word starts nothing", "[incus][security]")
{
    IncusHost host;
    auto& one = host.incus.add_vm("other", {{"gpu; reboot\x1b[31m", host.devices["gpu"]}});
    const auto lines = as_guest_config(host.machine, parse_instance(one, socket_path)).hostpci;
    REQUIRE(lines.front().start_error);
    CHECK(lines.front().start_error->fact == "the device 'gpu; reboot\\x1b[31m' has an odd name");
    CHECK(lines.front().key().find('\x1b') == std::string::npos);
}

TEST_CASE("devices that are taken out are put back, whoever changed what in between", "[incus]")
{
    IncusHost host;
    const auto before = host.incus.instance("web");
    const auto take = [&] {
        take_devices(host.machine, read_instance(DaemonReader(host.machine, socket_path), host.web),
                     {"audio", "gpu"});
    };
    SECTION("as they were, and nothing else is changed")
    {
        take();
        CHECK(plain(host.incus.devices_of("web")) == plain(Json{{"root", host.devices["root"]}}));
        CHECK(read_taken(host.machine).size() == 1);
        CHECK(give_back_what_was_left(host.machine, host.web));
        CHECK(plain(host.incus.instance("web")) == plain(before));
        CHECK(read_taken(host.machine).empty());
        CHECK_FALSE(give_back_what_was_left(host.machine, host.web));
    }
    SECTION("a profile's are hidden, and seen again")
    {
        auto& web = host.incus.instance("web");
        web["of_profile"] = {{"gpu", host.devices["gpu"]}};
        web["devices"].erase("gpu");
        const auto with_profile = web;
        take();
        CHECK(plain(host.incus.devices_of("web")["gpu"]) == plain(Json{{"type", "none"}}));
        give_back_what_was_left(host.machine, host.web);
        CHECK(plain(host.incus.instance("web")) == plain(with_profile));
    }
    SECTION("somebody else's change in between is kept")
    {
        take();
        host.incus.before("GET /1.0/instances/web",
                          [&] { host.incus.instance("web")["config"]["user.x"] = "1"; });
        host.incus.before("PUT /1.0/instances/web",
                          [&] { host.incus.instance("web")["config"]["user.y"] = "2"; });
        give_back_what_was_left(host.machine, host.web);
        CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
        CHECK(host.incus.instance("web")["config"]["user.x"] == "1");
        CHECK(host.incus.instance("web")["config"]["user.y"] == "2");
    }
    SECTION("one that was set anew stays as it was set")
    {
        take();
        host.incus.instance("web")["devices"]["gpu"] = {{"type", "gpu"}, {"pci", "0000:09:00.0"}};
        give_back_what_was_left(host.machine, host.web);
        CHECK(host.incus.devices_of("web")["gpu"]["pci"] == "0000:09:00.0");
        CHECK(plain(host.incus.devices_of("web")["audio"]) == plain(host.devices["audio"]));
    }
    SECTION("a VM that was started bare keeps the note until it stops")
    {
        take();
        host.incus.start_bare("web");
        const auto said = failure([&] { give_back_what_was_left(host.machine, host.web); });
        CHECK(has(said, "VM 'web' runs, so that its devices 'audio', 'gpu' cannot be put back into it; stop "
                        "it ('incus stop web')"));
        CHECK(read_taken(host.machine).size() == 1);
        host.incus.stop("web");
        CHECK(give_back_what_was_left(host.machine, host.web));
        CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
    }
    SECTION("a note is read as it was written, and a damaged one is said")
    {
        const TakenDevices taken{
            host.web, socket_path, {{"gpu", Texts{{"type", "gpu"}}}, {"audio", std::nullopt}}};
        CHECK(parse_taken(print_taken(taken)) == taken);
        CHECK_FALSE(parse_taken("{}"));
        host.machine.file(paths::taken_devices_of(number_of(host.web)), "{");
        CHECK_FALSE(give_back_what_was_left(host.machine, host.web));
        CHECK(host.machine.said("the note of what was taken out of VM 'web' is damaged"));
    }
}

namespace {

// The host of a VM of Incus, which is Proxmox's too if wanted; commands are run on it.
struct Commanded : IncusHost {
    Printed console;
    Json document;

    explicit Commanded(bool proxmox = false)
    {
        add_host(machine);
        if (!proxmox) {
            machine.file("/var/lib/dpkg/status",
                         "Package: incus\nStatus: install ok installed\nVersion: 6.0.4-2\n");
            machine.tree().erase("/etc/pve");
        }
        machine.file(std::string(paths::incus_unit), "");
    }

    int run(int (*command)(Session&), Options options = {})
    {
        options.yes = true;
        if (options.instances.empty()) options.instances = {web};
        Session session{machine, console, std::move(options),
                        [this] { return std::make_unique<ForwardingSystem>(machine); }};
        const int status = command(session);
        document = session.document;
        return status;
    }
    std::string failed(int (*command)(Session&), Options options = {})
    {
        return failure([&] { run(command, options); });
    }
    std::string modprobe() const { return machine.read(std::string(paths::modprobe)).value_or(""); }
    std::string udev() const { return machine.read(std::string(paths::udev_rules)).value_or(""); }
    bool asked(const std::string& line) const
    {
        for (const auto& one : incus.asked())
            if (one.starts_with(line)) return true;
        return false;
    }
};

} // namespace

TEST_CASE("a VM is started with a clean card, and its devices are in it as before", "[incus][start]")
{
    Commanded host;
    CHECK(host.run(start) == exit_done);
    CHECK(host.incus.status_of("web") == "Running");
    CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
    CHECK(host.machine.resets("0000:03:00.0") > 0);
    CHECK(host.document["starts"][0]["started"] == true);
    CHECK(host.document["starts"][0]["pid"] == 5001);
    CHECK(host.document["starts"][0]["recoveries"][0]["instance"] == "web");
    CHECK(host.document["starts"][0]["recoveries"][0]["vmid"] == nullptr);
    CHECK(read_taken(host.machine).empty());
    CHECK(host.machine.list(std::string(paths::claims)).empty());
    CHECK(host.machine.list(std::string(paths::journals)).empty());

    SECTION("a bare start afterwards, and a start after the guest's own reboot, are told from ours")
    {
        const auto is_told = [&] {
            host.console.text.clear();
            host.run(status);
            return has(host.console.text, "runs, not started by us: its card was not recovered");
        };
        CHECK_FALSE(is_told());
        host.incus.stop("web");
        CHECK_FALSE(is_told());
        host.incus.start_bare("web");
        CHECK(is_told());
        host.run(check);
        CHECK(has(host.document.dump(), "has not started it, or its guest has rebooted since"));
    }
    SECTION("whoever runs is not touched")
    {
        const auto resets = host.machine.resets("0000:03:00.0");
        CHECK(has(host.failed(start), "VM 'web' is not stopped (Running); stop it first, 'incus stop web'"));
        CHECK(host.machine.resets("0000:03:00.0") == resets);
    }
    SECTION("another VM that has the card is named, and the start is refused before anything is taken out")
    {
        host.incus.add_vm("other", host.devices, "lab");
        Options other;
        other.instances = {{"lab", "other"}};
        CHECK(has(host.failed(start, other),
                  "'0000:03:00.0' is in use by VM 'web' (pid 5001, qemu-system-x86); stop it first"));
        CHECK_FALSE(host.asked("PUT /1.0/instances/other"));
    }
    SECTION("nor is a VM that is being started, or whose card another one is being started with")
    {
        host.incus.stop("web");
        host.incus.add_vm("other", {{"gpu", host.devices["gpu"]}});
        host.incus.is_at("web");
        CHECK(has(host.failed(start),
                  "VM 'web' is being started or changed right now; see 'incus operation list'"));
        host.incus.is_at("other");
        CHECK(has(host.failed(start),
                  "'0000:03:00.0' is a device of VM 'other', which is being started or changed"));
        host.incus.is_at("");
        CHECK(host.run(start) == exit_done);
    }
    SECTION("again and again")
    {
        for (int i = 0; i < 3; ++i) {
            host.incus.stop("web");
            CHECK(host.run(start) == exit_done);
        }
    }
}

TEST_CASE("a start that fails because of the card is tried again, any other is told", "[incus][start]")
{
    Commanded host;
    const std::string not_bound =
        "Failed to start device \"audio\": Failed to override IOMMU group driver: Device took too long to "
        "activate at \"/sys/bus/pci/drivers/vfio-pci/0000:04:00.0\"";
    SECTION("once")
    {
        host.incus.fail_start(not_bound);
        CHECK(host.run(start) == exit_done);
        CHECK(host.document["starts"][0]["recoveries"].size() == 2);
        CHECK(host.machine.said("VM 'web' did not start: Failed to start device"));
    }
    SECTION("three times and no more")
    {
        host.incus.fail_start(not_bound, 5);
        CHECK(has(host.failed(start), "VM 'web' did not start 3 times: "));
        CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
    }
    SECTION("QEMU's own reason is told, which Incus leaves out")
    {
        host.incus.fail_start(
            "Failed to run: forklimits -- /usr/bin/qemu-system-x86_64 -S -name web: : exit status 1");
        host.incus.add_log("qemu-system-x86_64: cannot set up guest memory 'ram': Cannot allocate memory\n");
        const auto said = host.failed(start);
        CHECK(has(said,
                  "QEMU says: qemu-system-x86_64: cannot set up guest memory 'ram': Cannot allocate memory"));
        CHECK_FALSE(has(said, "3 times"));
    }
    SECTION("the daemon forgets the start, which went well")
    {
        host.incus.before("/state", [&] { host.incus.without_operations(); });
        CHECK(host.run(start) == exit_done);
    }
    SECTION("the daemon ends in the middle of the start, which did not happen")
    {
        host.incus.fail_start("x");
        host.incus.before("/state", [&] { host.incus.without_operations(); });
        CHECK(has(host.failed(start),
                  "Incus ended while it started VM 'web', which is stopped; start it again"));
    }
}

TEST_CASE("what an interrupted start has left is put back by the next", "[incus][start]")
{
    Commanded host;
    take_devices(host.machine, read_instance(DaemonReader(host.machine, socket_path), host.web),
                 {"audio", "gpu"});
    SECTION("of this VM")
    {
        CHECK(host.run(start) == exit_done);
        CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
        CHECK(host.machine.said("put back into VM 'web' what an interrupted run had taken out of it"));
    }
    SECTION("of another one")
    {
        add_slot(host.machine, {.bus = 0x06});
        host.incus.add_vm("other", {{"gpu", {{"type", "gpu"}, {"pci", "0000:06:00.0"}}}});
        Options other;
        other.instances = {{"default", "other"}};
        CHECK(host.run(start, other) == exit_done);
        CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
    }
}

TEST_CASE("a start that is stopped puts the devices back", "[incus][start]")
{
    // Whenever SIGTERM comes.
    for (int after = 0; after < 3'000; after += 40) {
        Commanded host;
        CAPTURE(after);
        host.machine.interrupt_at(Milliseconds(after));
        const auto said = host.failed(start);
        if (host.incus.status_of("web") == "Stopped") CHECK(has(said, "stopped"));
        CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
        CHECK(read_taken(host.machine).empty());
    }
}

TEST_CASE("a VM of Incus is given all of its card, by addresses, and that is undone to the letter",
          "[incus][install]")
{
    const bool proxmox = GENERATE(false, true);
    CAPTURE(proxmox);
    Commanded host(proxmox);
    auto& web = host.incus.add_vm(
        "web", {{"root", host.devices["root"]}, {"card", {{"type", "gpu"}, {"vendorid", "8086"}}}});
    web["config"]["volatile.last_state.power"] = web["expanded_config"]["volatile.last_state.power"] =
        "RUNNING";
    const auto before = web;
    host.run(install);
    const auto devices = host.incus.devices_of("web");
    CHECK(plain(devices["card"]) == plain({{"type", "gpu"}, {"pci", "0000:03:00.0"}}));
    CHECK(plain(devices["pci-04-00-0"]) == plain({{"type", "pci"}, {"address", "0000:04:00.0"}}));
    CHECK(host.incus.instance("web")["config"]["boot.autostart"] == "false");
    CHECK(host.incus.instance("web")["description"] == "mine");
    CHECK(host.machine.read_link(boot_unit_link(host.web)) == std::string(paths::incus_unit));
    CHECK(has(host.udev(), "0000:03:00.0"));
    CHECK(has(host.udev(), "0000:04:00.0"));
    CHECK(host.document["changed"] == true);

    SECTION("again: nothing to change")
    {
        host.run(install);
        CHECK(host.document["changed"] == false);
        CHECK(has(host.console.text, "Nothing to change."));
    }
    SECTION("detach")
    {
        host.run(detach);
        CHECK(plain(host.incus.instance("web")) == plain(before));
        CHECK_FALSE(host.machine.read_link(boot_unit_link(host.web)));
        CHECK(has(host.failed(detach), "VM 'web' was given nothing by 'pve-gpu-install --incus'"));
    }
    SECTION("uninstall")
    {
        host.run(uninstall);
        CHECK(plain(host.incus.instance("web")) == plain(before));
        CHECK_FALSE(host.machine.exists(std::string(paths::modprobe)));
        CHECK_FALSE(host.machine.exists(std::string(paths::install_manifest)));
        CHECK_FALSE(host.machine.read_link(boot_unit_link(host.web)));
    }
    SECTION("what somebody has changed since stays, and is named")
    {
        host.incus.instance("web")["devices"]["pci-04-00-0"]["address"] = "0000:09:00.0";
        host.run(detach);
        CHECK(host.machine.said("the device 'pci-04-00-0' of VM 'web' was changed since it was given"));
        CHECK(host.incus.devices_of("web")["pci-04-00-0"]["address"] == "0000:09:00.0");
        CHECK(plain(host.incus.devices_of("web")["card"]) == plain(before["devices"]["card"]));
    }
    SECTION("a VM that runs is not changed")
    {
        host.incus.start_bare("web");
        CHECK(has(host.failed(detach), "VM 'web' is not stopped, and would lose devices while it runs; stop "
                                       "it first, 'incus stop web'"));
        CHECK(plain(host.incus.devices_of("web")) == plain(devices));
    }
    SECTION(
        "while its daemon does not answer nothing is prepared for others, who would lose it what it needs")
    {
        host.incus.stop_answering("/1.0");
        Options all;
        all.host = true;
        const auto said = host.failed(
            [](Session& session) {
                session.options.instances.clear();
                return install(session);
            },
            all);
        CHECK(has(said, "what VM 'web' needs of the host is not known: "));
        CHECK(has(said, "Incus has not answered within 90 s"));
    }
    SECTION("without its daemon it keeps what it has, and the rest is undone")
    {
        host.incus.stop_answering("/1.0");
        host.run(uninstall);
        CHECK(host.machine.said("VM 'web' keeps what it was given: "));
        CHECK_FALSE(host.machine.exists(std::string(paths::modprobe)));
        CHECK(host.machine.exists(std::string(paths::install_manifest)));
    }
}

TEST_CASE("an installation that fails leaves the VM as it was", "[incus][install]")
{
    Commanded host;
    const auto before = host.incus.add_vm("web", {{"gpu", host.devices["gpu"]}});
    bool full = true;
    host.machine.add_program("/usr/sbin/update-initramfs", [full](const auto&) mutable -> SysResult {
        if (!std::exchange(full, false)) return {};
        return {SysResult::Kind::refused, 1, "no space left on device\n", 0, ""};
    });
    CHECK(has(host.failed(install), "nothing is changed: what had been done was undone"));
    CHECK(plain(host.incus.instance("web")) == plain(before));
}

TEST_CASE("what shares the card's IOMMU group goes to the VM too, unless it is in use", "[incus][install]")
{
    Commanded host;
    host.machine.add_function(
        "", "0000:00:1f.3",
        {.vendor = 0x8086, .device = 0x7ad0, .class_code = 0x040300, .driver = "snd_hda_intel"});
    host.machine.set_group(7, {"0000:03:00.0", "0000:00:1f.3"});
    SECTION("free")
    {
        host.run(install);
        CHECK(host.incus.devices_of("web").contains("pci-00-1f-3"));
    }
    SECTION("in use")
    {
        host.machine.add_node("0000:00:1f.3", "sound/card0/controlC0", "/dev/snd/controlC0", {116, 2});
        host.machine.add_process(812, "pipewire", {{5, {"/dev/snd/controlC0", DeviceNumber{116, 2}}}});
        CHECK(has(host.failed(install), "shares an IOMMU group with the card of VM 'web' and would have to "
                                        "go to it, but is in use by a process (pid 812, pipewire)"));
    }
}

TEST_CASE("a host without Proxmox is one for Incus; what needs Proxmox says so", "[incus][install]")
{
    Commanded host;
    Options vm;
    vm.vms = {101};
    CHECK(has(host.failed(
                  [](Session& session) {
                      session.options.instances.clear();
                      return install(session);
                  },
                  vm),
              "this is no Proxmox VE host, so it has no guests with VMIDs; name a VM of Incus or LXD with "
              "'--incus'"));
    CHECK(host.run([](Session& session) {
        session.options.instances.clear();
        return status(session);
    }) == exit_done);
    CHECK(has(host.console.text, "Host  Incus 6.0.4, Linux"));
    CHECK(has(host.console.text, "VM 'web'"));
    CHECK(host.document["guests"][0]["instance"] == "web");
    CHECK(host.document["guests"][0]["vmid"] == nullptr);
    host.run(check);
    CHECK(has(host.console.text, "incus.bare-start"));
    FakeSystem other;
    CHECK(has(failure([&] { read_host(other); }), "this is not a Proxmox VE host"));
}

TEST_CASE("a trial recovers the card twice and starts nothing", "[incus]")
{
    Commanded host;
    CHECK(host.run(try_recovery) == exit_done);
    CHECK(host.document["runs"].size() == 2);
    CHECK(host.incus.status_of("web") == "Stopped");
    CHECK(plain(host.incus.devices_of("web")) == plain(host.devices));
}

TEST_CASE("a dry run changes nothing, of the VM either", "[incus]")
{
    Commanded host;
    Options dry;
    dry.dry_run = true;
    for (auto* command : {start, try_recovery, install}) host.run(command, dry);
    for (const auto& line : host.incus.asked()) CHECK(line.starts_with("GET "));
    CHECK(has(host.console.text, "then: incus start web"));
}

TEST_CASE("inside of a VM: the GPU, its driver, and whether the driver's parts are of one version",
          "[incus][verify]")
{
    Commanded host;
    add_slot(host.machine, {.bus = 0x06, .driver = "vfio-pci"});
    host.incus.add_vm("web", {{"gpu", {{"type", "gpu"}, {"pci", "0000:06:00.0"}}}});
    const auto check = [&](const std::string& name) -> Json {
        for (const auto& one : host.document["guests"][0]["checks"])
            if (one["name"] == name) return one;
        return nullptr;
    };
    SECTION("one that does not run")
    {
        CHECK(host.run(verify) == exit_failed);
        CHECK(check("guest.running")["remedy"] == "start it: 'pve-gpu-install start --incus web'");
    }
    SECTION("without an agent")
    {
        host.incus.start_bare("web");
        host.run(verify);
        CHECK(check("guest.agent")["verdict"] == "unknown");
        CHECK(has(check("guest.agent")["evidence"].get<std::string>(), "VM agent isn't currently running"));
    }
    SECTION("with one")
    {
        std::string of_tools = "550.90.07";
        host.incus.start_bare("web");
        host.incus.add_agent([&](const std::vector<std::string>& words) -> std::pair<unsigned, std::string> {
            const auto line = join(words, " ");
            if (line == "cat /proc/bus/pci/devices") return {0, "0600\t10de2204\t0\tnvidia\n"};
            if (line == "cat /sys/module/nvidia/version") return {0, "550.90.07\n"};
            if (has(line, "--query-gpu=driver_version")) return {0, of_tools + "\n"};
            if (words.front() == "nvidia-smi") return {0, "NVIDIA GeForce RTX 3090, 550.90.07, 24576 MiB\n"};
            return {127, "timeout: failed to run command\n"};
        });
        CHECK(host.run(verify) == exit_done);
        CHECK(check("gpu.visible")["verdict"] == "ok");
        CHECK(check("driver.loaded")["verdict"] == "ok");
        CHECK(check("nvidia-smi")["verdict"] == "ok");
        CHECK(check("load")["verdict"] == "note"); // no ffmpeg
        CHECK(has(check("versions.match")["evidence"].get<std::string>(),
                  "the host has no NVIDIA module loaded, and needs none"));
        host.machine.file("/sys/module/nvidia/version", "535.1\n");
        of_tools = "560.1";
        CHECK(host.run(verify) == exit_failed);
        CHECK(check("versions.match")["evidence"] ==
              "module 550.90.07, nvidia-smi 560.1; the host's is 535.1, which is no matter for a VM");
        for (const auto& line : host.incus.asked())
            if (has(line, "DELETE")) return; // what it printed is not left with the daemon
        CHECK(false);
    }
}

TEST_CASE("processes of Incus and LXD are holders by name", "[incus][holders]")
{
    FakeSystem machine;
    const auto described = [&] {
        const auto gpu = read_function(machine, *parse_pci_address("0000:03:00.0"));
        const auto holders = find_holders(machine, {*gpu}, std::nullopt);
        REQUIRE(holders.size() == 1);
        return describe(holders.front());
    };
    SECTION("a program in a container, by its control group")
    {
        add_arc(machine);
        machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
        machine.add_process(812, "plex", {{5, {"/dev/dri/renderD128", DeviceNumber{226, 128}}}});
        machine.file("/proc/812/cgroup", "0::/lxc.payload.lab_media/init.scope\n");
        CHECK(described() == "container 'lab/media' (pid 812, plex), which has '/dev/dri/renderD128' open");
    }
    SECTION("a VM, by the file with the pid of its QEMU")
    {
        const std::string file = GENERATE("/run/incus/lab_web/qemu.pid", "/var/log/lxd/lab_web/qemu.pid",
                                          "/var/snap/lxd/common/lxd/logs/lab_web/qemu.pid");
        add_arc(machine, {.driver = "vfio-pci"});
        machine.open_vfio("0000:03:00.0", 4711, "qemu-system-x86");
        CHECK(has(described(), "a process (pid 4711, qemu-system-x86)"));
        machine.file(file, "4711\n");
        CHECK(described() == "VM 'lab/web' (pid 4711, qemu-system-x86)");
    }
    SECTION("a QEMU inside of a container")
    {
        add_arc(machine, {.driver = "vfio-pci"});
        machine.open_vfio("0000:03:00.0", 4712, "qemu-system-x86");
        machine.file("/proc/4712/cgroup", "0::/lxc.payload.box\n");
        CHECK(has(described(), "container 'box' (pid 4712, qemu-system-x86)"));
    }
}
