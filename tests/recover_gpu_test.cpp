// The story on the fake machine: what is done in which order, and what happens when the kernel or the card
// does not do what it should.
#include "catch.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machines.hpp"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string gpu = "0000:03:00.0";
const std::string audio = "0000:04:00.0";
const std::string port = "0000:00:1c.0";
const std::string reset_file = "/sys/bus/pci/devices/0000:00:1c.0/reset_subordinate";

std::string attribute(const std::string& address, const std::string& name)
{
    return "/sys/bus/pci/devices/" + address + "/" + name;
}

// An Arc card for VM 101, on a kernel that leaves new devices alone while autoprobe is off.
struct ArcHost : FakeSystem {
    explicit ArcHost(const std::string& kernel = "7.0.2-1-pve", const ArcOptions& options = {})
        : FakeSystem(kernel)
    {
        add_arc_for_vm_101(*this, options);
    }

    Report start(unsigned vmid = 101) { return run_phase(*this, {vmid, Phase::pre_start, ""}); }
    bool wrote(const std::string& line) const
    {
        return std::find(writes().begin(), writes().end(), line) != writes().end();
    }
    bool both_on_vfio() const { return driver_of(gpu) == "vfio-pci" && driver_of(audio) == "vfio-pci"; }
    bool as_before() const
    {
        return text("/sys/bus/pci/drivers_autoprobe") == "1" && guards().empty() &&
               !exists("/run/pve-gpu-hook/journal/101.json");
    }
};

StepResult result_of(const Report& report, std::string_view op)
{
    const auto found = std::find_if(report.steps.begin(), report.steps.end(),
                                    [&](const StepReport& one) { return one.op == op; });
    REQUIRE(found != report.steps.end());
    return found->result;
}

} // namespace

TEST_CASE("a card is woken, unbound, reset, removed, found again and bound", "[story]")
{
    ArcHost host;
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(report.exit_status() == 0);
    CHECK(host.both_on_vfio());
    CHECK(host.resets(gpu) == 1);
    CHECK(host.resets(audio) == 1);
    CHECK(host.as_before());

    std::vector<std::string> order;
    for (const auto& write : host.writes())
        if (write.find("power") == std::string::npos && write.find("d3cold") == std::string::npos)
            order.push_back(write);
    CHECK(order == std::vector<std::string>{
                       "/sys/bus/pci/drivers/i915/unbind = 0000:03:00.0",
                       "/sys/bus/pci/drivers/snd_hda_intel/unbind = 0000:04:00.0",
                       "/sys/bus/pci/devices/0000:00:1c.0/reset_subordinate = 1",
                       "/sys/bus/pci/devices/0000:03:00.0/remove = 1",
                       "/sys/bus/pci/devices/0000:04:00.0/remove = 1", "/sys/bus/pci/drivers_autoprobe = 0",
                       "/sys/class/pci_bus/0000:03/rescan = 1", "/sys/class/pci_bus/0000:04/rescan = 1",
                       "/sys/bus/pci/drivers_autoprobe = 1",
                       "/sys/bus/pci/devices/0000:03:00.0/driver_override = vfio-pci",
                       "/sys/bus/pci/drivers/vfio-pci/bind = 0000:03:00.0",
                       "/sys/bus/pci/devices/0000:04:00.0/driver_override = vfio-pci",
                       "/sys/bus/pci/drivers/vfio-pci/bind = 0000:04:00.0"});
}

TEST_CASE("the card and the ports above it are kept awake, also after the bind", "[story]")
{
    ArcHost host;
    host.start();
    for (const auto& address : {port, std::string("0000:01:00.0"), std::string("0000:02:01.0"), gpu}) {
        CHECK(host.text(attribute(address, "power/control")) == "on");
        CHECK(host.text(attribute(address, "d3cold_allowed")) == "0");
    }
}

TEST_CASE("a second start does the same again", "[story]")
{
    ArcHost host;
    host.start();
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(host.resets(gpu) == 2);
    CHECK(host.both_on_vfio());
}

TEST_CASE("an older kernel is taught the card's ids for the time of the rescan", "[story]")
{
    ArcHost host("6.14.8-2-pve");
    host.register_first("vfio-pci");
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(host.wrote("/sys/bus/pci/drivers/vfio-pci/new_id = 8086 56a6 1af4 1100"));
    CHECK(host.wrote("/sys/bus/pci/drivers/vfio-pci/remove_id = 8086 56a6 1af4 1100"));
    CHECK_FALSE(host.wrote("/sys/bus/pci/drivers_autoprobe = 0"));
    CHECK(host.both_on_vfio());
    CHECK(host.as_before());
}

TEST_CASE("an id that vfio-pci knew already is not taken from it", "[story]")
{
    ArcHost host("6.14.8-2-pve");
    host.register_first("vfio-pci");
    host.write("/sys/bus/pci/drivers/vfio-pci/new_id", "8086 56a6 1af4 1100", 1000ms);
    host.start();
    CHECK_FALSE(host.wrote("/sys/bus/pci/drivers/vfio-pci/remove_id = 8086 56a6 1af4 1100"));
}

TEST_CASE("an unbound twin of the card is not caught by its ids", "[story]")
{
    ArcHost host("6.14.8-2-pve");
    auto twin = arc_gpu;
    twin.driver = "";
    host.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x09});
    host.add_function("0000:00:1d.0", "0000:09:00.0", twin);
    host.start();
    CHECK(host.driver_of("0000:09:00.0").empty());
    CHECK_FALSE(host.wrote("/sys/bus/pci/drivers/vfio-pci/new_id = 8086 56a6 1af4 1100"));
}

TEST_CASE("a native driver that won the rescan loses the card again, and the fix is named", "[story]")
{
    ArcHost host("6.14.8-2-pve");
    host.register_first("i915");
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.both_on_vfio());
    CHECK(host.said("'i915' bound '0000:03:00.0' first"));
    CHECK(host.said("pve-gpu-install"));
}

TEST_CASE("an unnamed companion goes through the reset and back to its native driver", "[story]")
{
    ArcHost host;
    add_guest(host, 101, "hostpci0: 03:00\n");
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    CHECK(host.driver_of(audio) == "snd_hda_intel");
    CHECK(host.resets(audio) == 1);
}

TEST_CASE("the second order removes the whole card before the port resets", "[story]")
{
    ArcHost host("6.8.12-15-pve", {.reset_subordinate = false});
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.both_on_vfio());
    CHECK(host.resets(gpu) == 1);
    CHECK(host.wrote("/sys/bus/pci/devices/0000:01:00.0/remove = 1"));
    CHECK(host.wrote("/sys/class/pci_bus/0000:01/rescan = 1"));
}

TEST_CASE("what vfio-pci took in the rescan is bound once more when pciehp has its port again", "[story]")
{
    ArcHost host("6.14.8-2-pve", {.pciehp = true});
    host.register_first("vfio-pci");
    REQUIRE(host.start().outcome == RunOutcome::recovered);
    const auto& writes = host.writes();
    const auto pciehp = std::find(writes.begin(), writes.end(),
                                  "/sys/bus/pci_express/drivers/pciehp/bind = 0000:00:1c.0:pcie004");
    for (const auto& function : {gpu, audio}) {
        const auto unbound =
            std::find(pciehp, writes.end(), "/sys/bus/pci/drivers/vfio-pci/unbind = " + function);
        REQUIRE(unbound != writes.end());
        CHECK(std::find(unbound, writes.end(), "/sys/bus/pci/drivers/vfio-pci/bind = " + function) !=
              writes.end());
    }
    CHECK(host.both_on_vfio());
}

TEST_CASE("driver=keep keeps the variant of vfio-pci that the host has bound", "[story]")
{
    const std::string grace = "nvgrace-gpu-vfio-pci"; // in the kernel for 10de:2941
    for (const auto* const kernel : {"6.14.8-2-pve", "7.0.2-1-pve"}) {
        FakeSystem host(kernel);
        host.add_driver(grace, {});
        host.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
        host.add_function("0000:00:01.0", "0000:06:00.0",
                          {.vendor = 0x10de, .device = 0x2941, .class_code = 0x030200, .driver = grace});
        add_guest(host, 101, "hostpci0: 06:00.0,driver=keep\n");
        host.add_process(host.parent_pid(), "task UPID:pve1:");
        host.file("/etc/pve-gpu-hook/settings.json", R"({"after_stop": "native"})");
        const auto report = run_phase(host, {101, Phase::pre_start, ""});
        CHECK(report.plan.all_warnings() == std::vector<Advice>{});
        REQUIRE(report.outcome == RunOutcome::recovered);
        CHECK(host.resets("0000:06:00.0") == 1);
        CHECK(host.driver_of("0000:06:00.0") == grace);
        CHECK(host.text(attribute("0000:06:00.0", "driver_override")) == grace);
        REQUIRE(run_phase(host, {101, Phase::post_stop, ""}).exit_status() == 0);
        CHECK(host.driver_of("0000:06:00.0") == grace);

        // Without it Proxmox binds vfio-pci.
        add_guest(host, 102, "hostpci0: 06:00.0\n");
        REQUIRE(run_phase(host, {102, Phase::pre_start, ""}).outcome == RunOutcome::recovered);
        CHECK(host.driver_of("0000:06:00.0") == "vfio-pci");
    }
}

TEST_CASE("driver=keep with the host's own driver is not ours", "[story]")
{
    ArcHost host;
    add_guest(host, 101, "hostpci0: 03:00.0,driver=keep\n");
    CHECK(host.start().outcome == RunOutcome::nothing_to_do);
    CHECK(host.resets(gpu) == 0);
}

TEST_CASE("pciehp's service is off the port from the reset to the rescan", "[story]")
{
    ArcHost host("7.0.2-1-pve", {.pciehp = true});
    host.start();
    const auto& writes = host.writes();
    const auto at = [&](const std::string& line) {
        return std::find(writes.begin(), writes.end(), line) - writes.begin();
    };
    const auto unbound = at("/sys/bus/pci_express/drivers/pciehp/unbind = 0000:00:1c.0:pcie004");
    const auto bound = at("/sys/bus/pci_express/drivers/pciehp/bind = 0000:00:1c.0:pcie004");
    CHECK(unbound < at(reset_file + " = 1"));
    CHECK(at("/sys/class/pci_bus/0000:04/rescan = 1") < bound);
    CHECK(bound < std::ssize(writes));
}

TEST_CASE("a reset that the kernel refuses is said, and the card is found again all the same", "[story]")
{
    ArcHost host;
    host.refuse_write(reset_file, ENOTTY);
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.both_on_vfio());
    CHECK(host.said("refuses to reset"));
    CHECK(host.said("GPU rescanned, NOT reset (it may still show no picture), in "));
    for (const auto& step : report.steps) CHECK((step.result == StepResult::refused) == (step.op == "reset"));
}

TEST_CASE("a bus lock that is taken for a moment is waited for", "[story]")
{
    ArcHost host;
    host.refuse_write(reset_file, EAGAIN, 2);
    CHECK(host.start().outcome == RunOutcome::recovered);
    CHECK(host.resets(gpu) == 1);
}

TEST_CASE("an unbind that never returns ends the run at its deadline, with nothing more touched", "[story]")
{
    ArcHost host;
    host.hang_write("/sys/bus/pci/drivers/i915/unbind");
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::failed);
    CHECK(report.exit_status() == 1);
    CHECK(result_of(report, "unbind") == StepResult::timed_out);
    CHECK(result_of(report, "reset") == StepResult::not_reached);
    CHECK(host.elapsed() < 31s);
    CHECK(host.said("reboot the host"));
    CHECK(host.writes().back() == "/sys/bus/pci/drivers/i915/unbind = 0000:03:00.0");
}

TEST_CASE("after a rescan that never returns only settings are put back", "[story]")
{
    ArcHost host("7.0.2-1-pve", {.pciehp = true});
    host.hang_write("/sys/class/pci_bus/0000:03/rescan");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
    CHECK(host.wrote("/sys/bus/pci_express/drivers/pciehp/bind = 0000:00:1c.0:pcie004"));
    CHECK(std::count(host.writes().begin(), host.writes().end(), "/sys/class/pci_bus/0000:03/rescan = 1") ==
          1);
    CHECK(host.exists("/run/pve-gpu-hook/journal/101.json")); // the rescans are still owed
}

TEST_CASE("whatever ends a run, what it had set is put back", "[story]")
{
    ArcHost host("7.0.2-1-pve", {.pciehp = true});
    host.slow_write(reset_file, 1s);
    host.at(500ms, [] { throw std::bad_alloc(); });
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::failed);
    CHECK(report.errors.at(0).advice.fact == "std::bad_alloc");
    CHECK(host.wrote("/sys/bus/pci_express/drivers/pciehp/bind = 0000:00:1c.0:pcie004"));
    CHECK(host.as_before());
}

TEST_CASE("a function that appears late is waited for", "[story]")
{
    ArcHost host;
    host.function(gpu).comes_back_after(3000ms);
    CHECK(host.start().outcome == RunOutcome::recovered);
    CHECK(host.both_on_vfio());
}

TEST_CASE("a card that never comes back needs a power cycle", "[story]")
{
    ArcHost host;
    host.function(gpu).never_comes_back();
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::refused);
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::needs_power_cycle);
    CHECK(host.wrote("/sys/bus/pci/devices/0000:01:00.0/remove = 1")); // the second rung was tried
    CHECK(host.as_before());
}

TEST_CASE("a second rung that helps leaves no setting of the first behind", "[story]")
{
    ArcHost host("7.0.2-1-pve", {.pciehp = true});
    host.refuse_write("/sys/class/pci_bus/0000:04/rescan", EIO);
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.both_on_vfio());
    CHECK(host.as_before());
}

TEST_CASE("a link that comes back narrower is told, and does not stop the guest",
          "[story][not-shown-on-a-kernel]")
{
    ArcHost host;
    host.at(100ms, [&] {
        auto config = host.text("/sys/bus/pci/devices/0000:00:1c.0/config");
        const auto now = parse_config_space(config);
        CHECK(now.link_width == 16);
        // LnkSta of the fake's PCI Express capability: the width is in bits 4 to 9
        for (std::size_t at = 0x40; at + 1 < config.size(); ++at) {
            auto changed = config;
            changed[at] = static_cast<char>(changed[at] & 0x0f);
            changed[at] = static_cast<char>(changed[at] | 0x80);
            changed[at + 1] = static_cast<char>(changed[at + 1] & ~0x03);
            if (parse_config_space(changed).link_width != 8) continue;
            host.file("/sys/bus/pci/devices/0000:00:1c.0/config", changed);
            return;
        }
        FAIL("the link status was not found");
    });
    host.slow_write(attribute(port, "d3cold_allowed"), 500ms);
    CHECK(host.start().outcome == RunOutcome::warned);
    CHECK(host.said("has 8 lanes instead of 16"));
}

TEST_CASE("a companion that the guest does not get cannot keep it from starting", "[story]")
{
    ArcHost host;
    add_guest(host, 101, "hostpci0: 03:00\n");
    host.function(audio).never_comes_back();
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    CHECK(host.said("'0000:04:00.0' did not come back"));
}

TEST_CASE("a card that comes back reading all ones needs a power cycle", "[story][not-shown-on-a-kernel]")
{
    ArcHost host;
    host.function(gpu).comes_back_dead();
    const auto report = host.start();
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::needs_power_cycle);
}

TEST_CASE("a card that comes back as another one is not given to the guest", "[story][not-shown-on-a-kernel]")
{
    ArcHost host;
    host.function(gpu).comes_back_with_id(0x8086, 0x0000);
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.said("came back as 8086:0000"));
}

TEST_CASE("a BAR that came back smaller gets its size back while nothing is bound",
          "[story][not-shown-on-a-kernel]")
{
    ArcHost host;
    auto large = arc_gpu;
    large.bars = {{0, 0, 0x1000000, true}, {2, 0, 0x100000000, true}};
    large.resizable_bars = {2};
    FakeSystem& machine = host;
    machine.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x09});
    machine.add_function("0000:00:1d.0", "0000:09:00.0", large);
    machine.function("0000:09:00.0").comes_back_with_smaller_bar(2, 0x10000000);
    add_guest(machine, 102, "hostpci0: 09:00\n");
    const auto report = host.start(102);
    CHECK(report.outcome == RunOutcome::recovered);
    CHECK(host.wrote(attribute("0000:09:00.0", "resource2_resize") + " = 12")); // log2(4096 MiB)
}

TEST_CASE("a remove that claims success and does nothing is noticed", "[story]")
{
    ArcHost host;
    host.ignore_write(attribute(gpu, "remove"));
    const auto report = host.start();
    CHECK(host.said("is still there after it was removed"));
    CHECK(report.exit_status() == 0); // the second rung removes the whole card
    CHECK(host.both_on_vfio());
}

TEST_CASE("a bind that claims success and does nothing is noticed", "[story]")
{
    ArcHost host;
    host.ignore_write("/sys/bus/pci/drivers/vfio-pci/bind");
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::failed);
    CHECK(host.said("could not be bound to 'vfio-pci'"));
    CHECK(host.as_before());
}

TEST_CASE("a VM that opens the device after the plan was made is not robbed of it", "[story]")
{
    ArcHost host("7.0.2-1-pve", {.driver = "vfio-pci"});
    host.slow_write(attribute(port, "d3cold_allowed"), 500ms);
    host.at(100ms, [&] { host.open_vfio(gpu, 4711, "kvm", 102); });
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::refused);
    CHECK(host.said("VM 102 (pid 4711, kvm)"));
    CHECK_FALSE(host.wrote("/sys/bus/pci/drivers/vfio-pci/unbind = 0000:03:00.0"));
}

TEST_CASE("SIGTERM ends the run, and what was changed is put back", "[story]")
{
    ArcHost host("7.0.2-1-pve", {.pciehp = true});
    host.function(gpu).comes_back_after(10000ms);
    host.interrupt_at(5000ms);
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::failed);
    CHECK(host.said("the task was stopped"));
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
    CHECK(host.wrote("/sys/bus/pci_express/drivers/pciehp/bind = 0000:00:1c.0:pcie004"));
}

TEST_CASE("a run waits for another guest's recovery, and names the setting when it takes too long", "[story]")
{
    ArcHost host;
    host.hold_lock("/run/pve-gpu-hook/lock", 5000ms);
    CHECK(host.start().outcome == RunOutcome::recovered);
    host.hold_lock("/run/pve-gpu-hook/lock", 500s);
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.said("'timeouts': 'lock'"));
}

TEST_CASE("a start that fails lets the ports sleep again", "[story]")
{
    ArcHost host;
    host.file(attribute(port, "power/control"), "auto\n");
    host.ignore_write("/sys/bus/pci/drivers/vfio-pci/bind");
    CHECK(host.start().exit_status() == 1);
    CHECK(host.text(attribute(port, "power/control")) == "auto");
}

TEST_CASE("work on the PCI bus is waited for, and whoever does not end is named", "[story]")
{
    ArcHost host;
    host.add_process(600, "echo");
    host.set_task_state(600, 'D', "bus_rescan_store", "[<0>] bus_rescan_store+0x5c/0x80\n");
    host.at(2000ms, [&] { host.end_process(600); });
    CHECK(host.start().outcome == RunOutcome::recovered);
    host.add_process(601, "echo");
    host.set_task_state(601, 'D', "bus_rescan_store", "[<0>] bus_rescan_store+0x5c/0x80\n");
    CHECK(host.start().exit_status() == 1);
    CHECK(host.said("pid 601 (echo) has been in the kernel's"));
}

TEST_CASE("whoever waits behind a stuck writer is not waited for", "[story]")
{
    ArcHost host;
    host.add_process(600, "bash");
    host.set_task_state(600, 'D', "vfio_unregister_group_dev",
                        "[<0>] vfio_unregister_group_dev+0x90/0x110\n");
    host.add_process(601, "echo");
    host.set_task_state(601, 'D', "bus_rescan_store", "[<0>] bus_rescan_store+0x5c/0x80\n");
    const auto report = host.start();
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::stuck_writer);
    CHECK(host.said("pid 600 (bash) blocks the PCI bus"));
    CHECK(host.elapsed() < 1s);
}

TEST_CASE("what a killed run left is repaired before anything else", "[story]")
{
    ArcHost host;
    host.write("/sys/bus/pci/drivers_autoprobe", "0", 1000ms);
    host.file(
        "/run/pve-gpu-hook/journal/102.json",
        R"({"vmid":102,"undo":[{"kind":"setting","path":"/sys/bus/pci/drivers_autoprobe","text":"1"}]})");
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.said("repaired what an interrupted run for VM 102 had left"));
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/journal/102.json"));
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
}

TEST_CASE(
    "while a write of an earlier run hangs, the next start names it, writes nothing more and ends in time",
    "[story]")
{
    ArcHost host;
    host.write("/sys/bus/pci/drivers_autoprobe", "0", 1000ms);
    host.file("/run/pve-gpu-hook/journal/101.json",
              R"({"vmid":101,"undo":[
                 {"kind":"pci","path":"/sys/bus/pci/drivers/i915/bind","text":"0000:03:00.0"},
                 {"kind":"setting","path":"/sys/bus/pci/drivers_autoprobe","text":"1"}]})");
    host.add_process(670, "pve-gpu-child");
    host.set_task_state(670, 'D', "device_release_driver",
                        "[<0>] device_release_driver_internal+0x1/0x2\n[<0>] unbind_store+0xa1/0xb0\n");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.said("pid 670 (pve-gpu-child) has been in the kernel's 'unbind_store'"));
    CHECK(host.elapsed() < 31s);                                         // 'busy'
    CHECK(host.writes().back() == "/sys/bus/pci/drivers_autoprobe = 1"); // a setting waits for nobody
    CHECK(host.text("/run/pve-gpu-hook/journal/101.json").find("i915/bind") != std::string::npos);

    host.end_process(670);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.as_before());
}

TEST_CASE("a card that is given up leaves its companion on the native driver", "[story]")
{
    ArcHost host;
    add_guest(host, 101, "hostpci0: 03:00\n");
    host.function(gpu).never_comes_back();
    CHECK(host.start().exit_status() == 1);
    CHECK(host.driver_of(audio) == "snd_hda_intel");
    CHECK(host.driver_of("0000:01:00.0") == "pcieport");
    CHECK(host.as_before());
}

TEST_CASE("where somebody else has switched autoprobe off, a companion has its native driver all the same",
          "[story]")
{
    ArcHost host;
    add_guest(host, 101, "hostpci0: 03:00\n");
    host.write("/sys/bus/pci/drivers_autoprobe", "0", 1000ms);
    CHECK(host.start().outcome == RunOutcome::recovered);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    CHECK(host.driver_of(audio) == "snd_hda_intel");
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "0"); // not ours to switch on
    CHECK_FALSE(host.wrote("/sys/bus/pci/drivers/vfio-pci/new_id = 8086 56a6 1af4 1100"));
}

TEST_CASE("a missing GPU is not looked for behind a stuck writer", "[story]")
{
    ArcHost host;
    host.falls_off_the_bus(gpu);
    host.add_process(600, "bash");
    host.set_task_state(600, 'S', "vfio_unregister_group_dev",
                        "[<0>] vfio_unregister_group_dev+0x90/0x110\n");
    const auto report = host.start();
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::stuck_writer);
    CHECK(host.writes().empty());
    CHECK(host.elapsed() < 1s);
}

TEST_CASE("a GPU that fell off the bus is found again", "[story]")
{
    ArcHost host;
    host.falls_off_the_bus(gpu);
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.both_on_vfio());
    CHECK(host.resets(gpu) == 1);
    CHECK(host.said("configured GPU missing; rescanning bus"));
}

TEST_CASE("what is found with a missing GPU gets its native driver, the GPU itself does not", "[story]")
{
    ArcHost host;
    add_guest(host, 101, "hostpci0: 03:00\n");
    host.falls_off_the_bus("0000:01:00.0"); // the whole card
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.driver_of("0000:01:00.0") == "pcieport");
    CHECK(host.driver_of(audio) == "snd_hda_intel");
    CHECK(host.driver_of(gpu) == "vfio-pci");
    CHECK_FALSE(host.wrote("/sys/bus/pci/drivers/i915/unbind = 0000:03:00.0")); // it never had it
    CHECK(host.as_before());
}

TEST_CASE("a GPU that fell off the bus for good is said to be gone", "[story]")
{
    ArcHost host;
    host.falls_off_the_bus(gpu);
    host.function(gpu).never_comes_back();
    const auto report = host.start();
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::not_found);
}

TEST_CASE("the claim keeps another VM off the card until its start has ended", "[story]")
{
    ArcHost host;
    host.start(101);
    add_guest(host, 102, "hostpci0: 03:00\n");
    FakeSystem& machine = host;
    const auto second = run_phase(machine, {102, Phase::pre_start, ""});
    CHECK(second.outcome != RunOutcome::refused); // one task starts one guest at a time
}

TEST_CASE("a start whose task has gone claims nothing: nobody would end the claim", "[story]")
{
    ArcHost host;
    host.slow_write(reset_file, Milliseconds(500));
    host.at(Milliseconds(300), [&] { host.end_process(host.parent_pid()); });
    CHECK(host.start().exit_status() == 0);
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/claims/101.json"));
}

TEST_CASE("\"auto\" takes a card that does not let itself be read for a dead one", "[story]")
{
    ArcHost host;
    host.file("/etc/pve-gpu-hook/settings.json", R"({"strategy": "auto"})");
    host.file(attribute(gpu, "reset_method"), "flr bus\n");
    host.hang_read(attribute(gpu, "config"));
    const auto report = host.start();
    CHECK_FALSE(report.steps.empty());
}

TEST_CASE("a foreign member of the IOMMU group after the rescan stops the start",
          "[story][not-shown-on-a-kernel]")
{
    ArcHost host;
    host.add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x09});
    host.add_function("0000:00:1d.0", "0000:09:00.0", network_card);
    host.function(gpu).comes_back_in_group_with("0000:09:00.0");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.said("is now in one IOMMU group with '0000:09:00.0'"));
}

TEST_CASE("a full /run loses the report and nothing else", "[story]")
{
    ArcHost host;
    host.refuse_write("/run/pve-gpu-hook/101.json", ENOSPC);
    CHECK(host.start().exit_status() == 0);
}

TEST_CASE("the report is what CONTRACT says", "[story][json]")
{
    ArcHost host;
    host.start();
    const auto json = nlohmann::json::parse(host.text("/run/pve-gpu-hook/101.json"));
    CHECK(json["schema"] == "pve-gpu-hook/report/1");
    CHECK(json["vmid"] == 101);
    CHECK(json["guest"] == "vm");
    CHECK(json["phase"] == "pre-start");
    CHECK(json["refused"].is_null());
    CHECK(json["outcome"] == "recovered");
    CHECK(json["steps"].size() == 13);
    CHECK(
        json["steps"][4] ==
        nlohmann::json::parse(
            R"({"op":"reset","target":"0000:00:1c.0","card":"0000:00:1c.0","result":"done","elapsed_ms":0,"detail":"by 'reset_subordinate'"})"));
    CHECK(json["cards"][0]["port"] == port);
    CHECK(json["cards"][0]["functions"][0]["id"] == "8086:56a6");
    CHECK(json["hostpci"][1]["host"][0] == audio);
}

TEST_CASE("a guest without hostpci costs neither lock nor writes", "[story]")
{
    ArcHost host;
    add_guest(host, 103, "memory: 512\n");
    const auto report = host.start(103);
    CHECK(report.outcome == RunOutcome::nothing_to_do);
    CHECK(host.writes().empty());
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/lock"));
}

TEST_CASE("a guest whose strategy is off waits for no other guest's recovery", "[story]")
{
    ArcHost host;
    host.file("/etc/pve-gpu-hook/settings.json", R"({"strategy": "off"})");
    host.start();
    CHECK(host.writes().empty());
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/lock"));
}

TEST_CASE("settings that cannot be read stop the start before anything is touched", "[story]")
{
    ArcHost host;
    host.file("/etc/pve-gpu-hook/settings.json", "{ \"strategy\": \"cylce\" }");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.writes().empty());
    CHECK(host.said("settings.json: 'strategy'"));
}
