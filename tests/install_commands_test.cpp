// status, try and capture.
#include "base/error.hpp"
#include "catch.hpp"
#include "commands/capture.hpp"
#include "commands/command_status.hpp"
#include "commands/commands.hpp"
#include "install_hosts.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"
#include "machine_file.hpp"
#include "pci/read_topology.hpp"
#include "printed_console.hpp"
#include "recovery/journal.hpp"
#include "run/step_report.hpp"

#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr const char* arc_guest = "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n";

void add_arc_host(FakeSystem& machine)
{
    add_arc(machine);
    add_host(machine, {.running = "root=/dev/sda1 iommu=pt"});
    add_vm(machine, 101, arc_guest);
}

class BeforeRescans : public ForwardingSystem {
public:
    BeforeRescans(System& inner, std::function<void()> look) : ForwardingSystem(inner), look_(std::move(look))
    {
    }
    SysResult write(const std::string& path, std::string_view text, Milliseconds timeout) override
    {
        if (path.ends_with("/rescan")) look_();
        return ForwardingSystem::write(path, text, timeout);
    }

private:
    std::function<void()> look_;
};

int try_it(FakeSystem& machine, Printed& console, Options options = {.vms = {101}})
{
    Session session{machine, console, std::move(options),
                    [&] { return std::make_unique<ForwardingSystem>(machine); }};
    const int status = try_recovery(session);
    if (session.options.json) console.text = print(session.document);
    return status;
}

} // namespace

TEST_CASE("status as JSON has the host, every card, every guest and its last run", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    add_slot(machine, {.port = "0000:00:01.0", .bus = 0x06});
    machine.file("/etc/pve/qemu-server/101.conf",
                 std::string("hookscript: local:snippets/pve-gpu-hook\n") + arc_guest);
    machine.file(
        paths::report(101),
        R"({"phase":"pre-start","outcome":"recovered","started":"2026-11-21T03:04:05Z","elapsed_ms":212,"error":null})");
    machine.file("/run/pve-gpu-hook/journal/101.json", "{}");
    machine.file(std::string(paths::boot_files_changed), "");
    const nlohmann::json json = status_json(read_status(machine));
    CHECK(json["schema"] == "pve-gpu-hook/status/1");
    CHECK(json["host"]["iommu"] == true);
    CHECK(json["host"]["boot_loader"] == "GRUB");
    CHECK(json["host"]["reboot_needed"] == true); // i915 has the card
    REQUIRE(json["cards"].size() == 2);
    CHECK(json["cards"][0]["port"] == "0000:00:1c.0");
    CHECK(json["cards"][0]["functions"][0]["address"] == "0000:03:00.0");
    CHECK(json["cards"][0]["functions"][0]["guests"] == nlohmann::json::array({101}));
    CHECK(json["cards"][0]["functions"][0]["hostpci"] == "hostpci0");
    CHECK(json["cards"][1]["functions"][0]["hostpci"] == nullptr);
    CHECK(json["cards"][1]["functions"][0]["driver"] == "nouveau");
    REQUIRE(json["guests"].size() == 1);
    CHECK(json["guests"][0]["attached"] == true);
    CHECK(json["guests"][0]["last_run"]["elapsed_ms"] == 212);
    CHECK(json["open_journals"].size() == 1);
}

TEST_CASE("status for people is a table, and nothing in it is a control character", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.file("/etc/pve/qemu-server/101.conf",
                 std::string("hookscript: local:snippets/o\x1b[31m.sh\n") + arc_guest);
    const auto text = print_status(read_status(machine));
    CHECK(text.find("Intel Arc A310 below port 0000:00:1c.0") != std::string::npos);
    CHECK(text.find("0000:03:00.0  8086:56a6  GPU    i915") != std::string::npos);
    CHECK(text.find("VM 101  not attached") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(print_status(read_status(machine), {.colours = true}).find("\x1b[1mHost") != std::string::npos);
}

TEST_CASE("status of one VM has its cards and nobody else's", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    add_slot(machine, {.port = "0000:00:01.0", .bus = 0x06});
    machine.file("/etc/pve/qemu-server/102.conf", "hostpci0: 06:00\n");
    Printed of_one;
    Session session{machine, of_one, {.vms = {101}}};
    CHECK(status(session) == exit_done);
    CHECK(of_one.text.find("0000:03:00.0") != std::string::npos);
    CHECK(of_one.text.find("VM 101") != std::string::npos);
    CHECK(of_one.text.find("0000:06:00.0") == std::string::npos);
    CHECK(of_one.text.find("VM 102") == std::string::npos);
    Printed of_nobody;
    Session wrong{machine, of_nobody, {.vms = {103}}};
    CHECK_THROWS_AS(status(wrong), Error);
}

TEST_CASE("who gives no command is told who has a GPU and what can be done", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    const auto shown = [&] {
        Printed console;
        Session session{machine, console, {}};
        CHECK(overview(session) == exit_usage); // nothing was asked for
        return console.text;
    };
    auto text = shown();
    CHECK(text.find("VM 101  the hook is not attached") != std::string::npos);
    CHECK(text.find("Intel Arc A310, 0000:03:00.0") != std::string::npos);
    CHECK(text.find("pve-gpu-install --vm 101 ") != std::string::npos);
    CHECK(text.find("pve-gpu-install try") == std::string::npos);
    machine.file("/etc/pve/qemu-server/101.conf",
                 std::string("hookscript: local:snippets/pve-gpu-hook\n") + arc_guest);
    text = shown();
    CHECK(text.find("VM 101  the hook is attached") != std::string::npos);
    CHECK(text.find("pve-gpu-install try --vm 101 ") != std::string::npos);
    machine.file("/etc/pve/qemu-server/101.conf", "cores: 2\n");
    CHECK(shown().find("No guest of this node has a GPU") != std::string::npos);
}

TEST_CASE("a template is told as one, and nothing is to be done with it but in its clones", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.file("/etc/pve/qemu-server/101.conf",
                 std::string("template: 1\nhookscript: local:snippets/pve-gpu-hook\n") + arc_guest);
    const auto status = read_status(machine);
    CHECK(print_status(status).find("VM 101  attached      a template, which never starts") !=
          std::string::npos);
    CHECK(status_json(status)["guests"][0]["template"] == true);
    Printed console;
    Session session{machine, console, {.vms = {101}}};
    CHECK(overview(session) == exit_usage);
    CHECK(console.text.find("VM 101  a template, which never starts") != std::string::npos);
    CHECK(console.text.find("--vm 101") == std::string::npos);
    const auto refusal = [&](int (*command)(Session&)) -> std::string {
        try {
            command(session);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    CHECK(refusal(try_recovery) == "VM 101 is a template, which never starts; try it with one of its clones");
    CHECK(refusal(verify) == "VM 101 is a template, which never starts; look into one of its clones");
    CHECK(machine.writes().empty());
}

TEST_CASE("status of a damaged report, or of a guest whose devices are gone, still tells the rest",
          "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.file(paths::report(101), "{");
    machine.file("/etc/pve/qemu-server/101.conf", "hostpci0: mapping=gone\n");
    const auto status = read_status(machine);
    REQUIRE(status.guests.size() == 1);
    CHECK_FALSE(status.guests[0].last_run);
    CHECK(to_string(status.guests[0].guest.problem.value()).find("gone") != std::string::npos);
    CHECK_FALSE(parse_last_run("[]"));
    CHECK_FALSE(parse_last_run(R"({"phase": 3})"));
}

TEST_CASE("a trial recovers the card twice and shows how long each step took", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    Printed console;
    CHECK(try_it(machine, console) == exit_done);
    CHECK(machine.resets("0000:03:00.0") == 2);
    CHECK(console.text.find("round 1: recovered") != std::string::npos);
    CHECK(console.text.find("round 2: recovered") != std::string::npos);
    CHECK(console.text.find("  reset 0000:00:1c.0  done  ") != std::string::npos);
    Printed json;
    try_it(machine, json, {.vms = {101}, .json = true});
    CHECK(nlohmann::json::parse(json.text).size() == 2);
}

TEST_CASE("a trial shows each step when it ends, and what it did not reach", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.function("0000:03:00.0").never_comes_back();
    Printed console;
    std::string when_rescanned; // what has been shown when the card is looked for
    Session session{machine, console, {.vms = {101}}, [&] {
                        return std::make_unique<BeforeRescans>(machine,
                                                               [&] { when_rescanned = console.text; });
                    }};
    CHECK(try_recovery(session) == exit_failed);
    CHECK(when_rescanned.find("  unbind 0000:03:00.0  done  ") != std::string::npos);
    CHECK(when_rescanned.find("round 1") == std::string::npos);
    Printed json;
    CHECK(try_it(machine, json, {.vms = {101}, .json = true}) == exit_failed);
    CHECK(nlohmann::json::accept(json.text));
}

TEST_CASE("a trial that is refused shows no step as done", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc(machine, {.driver = "vfio-pci"});
    add_host(machine);
    add_vm(machine, 101, arc_guest);
    machine.open_vfio("0000:03:00.0", 4711, "kvm", 102);
    Printed console;
    CHECK(try_it(machine, console) == exit_failed);
    CHECK(console.text.starts_with("round 1: refused in "));
    CHECK(line_of({"reset", "0000:00:1c.0"}) == "reset 0000:00:1c.0  not-reached");
    CHECK(line_of({"unbind", "0000:03:00.0", StepResult::refused, Milliseconds(7), "busy"}) ==
          "unbind 0000:03:00.0  refused  7 ms  busy");
}

TEST_CASE("a trial that tried nothing fails, and says why and what helps instead", "[install]")
{
    const auto why = [](FakeSystem& machine, const std::string& lines) {
        add_host(machine);
        add_vm(machine, 101, lines);
        Printed console;
        std::string text;
        try {
            try_it(machine, console);
        } catch (const Error& error) {
            text = error.what();
        }
        CHECK(console.text.empty());
        CHECK(try_it(machine, console, {.vms = {101}, .dry_run = true}) == exit_failed);
        return text;
    };
    FakeSystem on_root_bus("6.14.8-2-pve");
    on_root_bus.add_function("", "0000:00:02.0",
                             {.vendor = 0x8086, .device = 0xa780, .class_code = 0x030000});
    CHECK(why(on_root_bus, "hostpci0: 00:02.0\n").find("integrated") != std::string::npos);

    FakeSystem of_amd("6.14.8-2-pve");
    add_apu(of_amd);
    CHECK(why(of_amd, "hostpci0: 0c:00.0\n").find("RadeonResetBugFix") != std::string::npos);

    FakeSystem absent("6.14.8-2-pve");
    CHECK(why(absent, "hostpci0: 0000:99:00.0\n").find("99:00.0") != std::string::npos);
}

TEST_CASE("a trial of a running VM, or of none, touches nothing", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.file("/run/qemu-server/101.pid", "4711\n");
    machine.add_process(4711, "kvm");
    Printed console;
    CHECK_THROWS_AS(try_it(machine, console), Error);
    CHECK_THROWS_AS(try_it(machine, console, {.vms = {102}}), Error);
    CHECK(machine.writes().empty());
    machine.end_process(4711); // it died and left its file
    CHECK(try_it(machine, console) == exit_done);
}

TEST_CASE("a trial stops at the first round that fails", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.function("0000:03:00.0").never_comes_back();
    Printed console;
    CHECK(try_it(machine, console) == exit_failed);
    CHECK(console.text.find("round 2") == std::string::npos);
}

TEST_CASE("a captured host is a machine file with the same facts, and without secrets", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    machine.file("/etc/pve/qemu-server/101.conf",
                 std::string("name: secret\n") + arc_guest +
                     "net0: virtio=AA:BB:CC:DD:EE:FF\n[snap]\nhostpci3: x\n");
    const auto gpu_link = machine.read_link("/sys/bus/pci/devices/0000:03:00.0").value();
    const auto gpu_directory = "/sys" + gpu_link.substr(gpu_link.find("/devices/"));
    REQUIRE(machine.exists(gpu_directory + "/vendor"));
    machine.file(gpu_directory + "/drm/card0/dev", "226:0\n");
    machine.file(gpu_directory + "/net/enxaabbccddeeff/address", "aa:bb:cc:dd:ee:ff\n");
    machine.file(gpu_directory + "/net/enxaabbccddeeff/flags", "0x1003\n");
    const auto text = capture_machine(machine);
    CHECK(text.find("secret") == std::string::npos);
    CHECK(text.find("AA:BB") == std::string::npos);
    CHECK(text.find("hostpci3") == std::string::npos);
    CHECK(text.find("/drm/card0/dev = 226:0") != std::string::npos);
    CHECK(text.find("/net/net0/flags = 0x1003") != std::string::npos);
    CHECK(text.find("aabbccddeeff") == std::string::npos);
    CHECK(text.find("aa:bb:cc") == std::string::npos);
    CHECK(text.find("/etc/pve/qemu-server/101.conf = \\nhostpci0: 0000:03:00.0") != std::string::npos);
    FakeSystem loaded("6.14.8-2-pve");
    load_machine(loaded, text);
    CHECK(capture_machine(loaded) == text);
    const std::vector<PciAddress> gpu{parse_pci_address("0000:03:00.0").value()};
    const auto cards = find_cards(read_topology(loaded, gpu, Milliseconds(1000)), gpu);
    REQUIRE(cards.size() == 1);
    CHECK(cards[0].functions.size() == 2);
    CHECK(cards[0].port == parse_pci_address("0000:00:1c.0"));
}

TEST_CASE("status tells what a start that was killed left to be put back", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    const std::string path = "/sys/bus/pci/drivers_autoprobe";
    machine.file(paths::journal(101), print_journal(101, {{Undo::Kind::setting, path, "1"}}));
    const auto found = read_status(machine);
    REQUIRE(found.open_journals.size() == 1);
    CHECK(found.open_journals[0].vmid == 101);
    CHECK(print_status(found).find("puts back '" + path + "'") != std::string::npos);
    CHECK(status_json(found)["open_journals"][0]["to_put_back"][0] == path);
}

TEST_CASE("whether interrupts are remapped is told by the names of their chips, or not at all", "[install]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_arc_host(machine);
    CHECK_FALSE(read_host(machine).interrupt_remapping);
    machine.file("/sys/kernel/irq/1/chip_name", "IO-APIC\n");
    machine.file("/sys/kernel/irq/24/chip_name", "PCI-MSI-0000:00:1c.0\n");
    machine.file("/sys/kernel/irq/25/chip_name", "DMAR-MSI\n"); // the IOMMU's own says nothing
    CHECK(read_host(machine).interrupt_remapping == false);
    CHECK(print_status(read_status(machine)).find("without interrupt remapping") != std::string::npos);
    machine.file("/sys/kernel/irq/9/chip_name", "IR-IO-APIC\n");
    CHECK(read_host(machine).interrupt_remapping == true);
}
