// What a start and a stop do where a step of theirs cannot be done, on the fake machine.
#include "catch.hpp"
#include "has.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machines.hpp"

#include <algorithm>
#include <cerrno>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string gpu = "0000:03:00.0";
const std::string journal = "/run/pve-gpu-hook/journal/101.json";
const std::string reset_above_gpu = "/sys/class/pci_bus/0000:03/device/reset_subordinate"; // of the bridge

struct Host : FakeSystem {
    explicit Host(const std::string& kernel = "7.0.2-1-pve") : FakeSystem(kernel)
    {
        add_arc_for_vm_101(*this, {.pciehp = true});
    }

    void settings(const std::string& json) { file("/etc/pve-gpu-hook/settings.json", json); }
    Report phase(Phase phase) { return run_phase(*this, {101, phase, ""}); }
    Report start() { return phase(Phase::pre_start); }
    bool as_before() const
    {
        return text("/sys/bus/pci/drivers_autoprobe") == "1" && guards().empty() && !exists(journal) &&
               exists("/sys/bus/pci_express/drivers/pciehp/0000:00:1c.0:pcie004");
    }
    bool wrote(const std::string& line) const
    {
        return std::find(writes().begin(), writes().end(), line) != writes().end();
    }
};

} // namespace

TEST_CASE("a recovery that takes longer than all of it may ends there, with the settings put back",
          "[failure]")
{
    Host host;
    host.settings(R"({"timeouts": {"total": 10, "reappear": 60}})");
    host.function(gpu).comes_back_after(30s);
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.elapsed() < 11s);
    CHECK(host.said("exceeded 10 s ('timeouts': 'total')"));
    CHECK(host.as_before());
}

TEST_CASE("without the driver vfio-pci nothing is touched, and its loader is quoted", "[failure]")
{
    Host host;
    host.tree().erase("/sys/bus/pci/drivers/vfio-pci");
    host.answer_run("/sbin/modprobe vfio-pci", 1, "FATAL: Module vfio-pci not found");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.said("'modprobe vfio-pci' failed: FATAL: Module vfio-pci not found"));
    CHECK(host.driver_of(gpu) == "i915");
}

TEST_CASE("an undo that never comes back keeps the next start from touching anything", "[failure]")
{
    Host host;
    host.file(journal, R"({"vmid":101,"undo":[
        {"kind":"pci","path":"/sys/class/pci_bus/0000:03/rescan","text":"1"},
        {"kind":"setting","path":"/sys/bus/pci/drivers_autoprobe","text":"1"}]})");
    host.hang_write("/sys/class/pci_bus/0000:03/rescan");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.said("what an interrupted run left could not be undone within 75 s; start the guest again"));
    CHECK(host.driver_of(gpu) == "i915");
    CHECK(host.text(journal).find("0000:03/rescan") != std::string::npos);
    CHECK(host.text(journal).find("drivers_autoprobe") == std::string::npos); // that one was done
}

TEST_CASE(
    "a reset bit that a killed run may have left set is cleared by the next, and nothing is reset by that",
    "[failure]")
{
    Host host;
    host.file(journal, R"({"vmid":101,"undo":[
        {"kind":"bridge-control","path":"/sys/bus/pci/devices/0000:00:1c.0/config","text":""}]})");
    host.settings(R"({"strategy": "remove-rescan"})");
    CHECK(host.start().exit_status() == 0);
    CHECK(host.said("repaired what an interrupted run for VM 101 had left"));
    CHECK(host.wrote("/sys/bus/pci/devices/0000:00:1c.0/config = end of a secondary bus reset"));
    CHECK(host.resets(gpu) == 0);
    CHECK(host.as_before());
}

TEST_CASE("a device that a rescan does not find is looked for once more behind a reset", "[failure]")
{
    Host host;
    host.falls_off_the_bus(gpu);
    host.function(gpu).never_comes_back();
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.wrote(reset_above_gpu + " = 1"));
    CHECK(host.said("is not on the PCI bus and does not come back"));
    CHECK(host.as_before());
}

TEST_CASE("a search that the kernel does not come back from leaves only what is owed", "[failure]")
{
    Host host;
    host.falls_off_the_bus(gpu);
    host.hang_write("/sys/class/pci_bus/0000:03/rescan");
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.elapsed() < 76s); // 'rescan'
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
}

TEST_CASE("a driver that does not take its card back is told of, and the stop goes on", "[failure]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.start();
    host.ignore_write("/sys/bus/pci/drivers_probe");
    const auto report = host.phase(Phase::post_stop);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.said("'0000:03:00.0' could not be given back to 'i915'; see the kernel's log (dmesg)"));
    CHECK(host.as_before());
}

TEST_CASE("a GPU that has a reset of its own gets it where its bus must not be reset", "[failure]")
{
    FakeSystem host("7.0.2-1-pve");
    host.add_driver("amdgpu", {"1002:67df"});
    host.add_bridge("", "0000:00:01.0");
    host.add_function("0000:00:01.0", "0000:01:00.0",
                      {.vendor = 0x1002,
                       .device = 0x67df,
                       .class_code = 0x030000,
                       .driver = "amdgpu",
                       .reset_methods = {"device_specific", "bus"}});
    add_guest(host, 101, "hostpci0: 01:00\n");
    host.add_process(host.parent_pid(), "task UPID:pve1:");
    const auto report = run_phase(host, {101, Phase::pre_start, ""});
    CHECK(report.exit_status() == 0);
    CHECK(host.driver_of("0000:01:00.0") == "vfio-pci");
    const auto& writes = host.writes();
    CHECK(std::find(writes.begin(), writes.end(), "/sys/bus/pci/devices/0000:01:00.0/reset = 1") !=
          writes.end());
    CHECK(std::find(writes.begin(), writes.end(),
                    "/sys/bus/pci/devices/0000:00:01.0/reset_subordinate = 1") == writes.end());
}

TEST_CASE("a repair has as long as a rescan may take, which probes the drivers of what it finds", "[failure]")
{
    Host host;
    host.file(journal, R"({"vmid":101,"undo":[
        {"kind":"pci","path":"/sys/class/pci_bus/0000:03/rescan","text":"1"}]})");
    host.slow_write("/sys/class/pci_bus/0000:03/rescan", 20s);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.said("repaired what an interrupted run for VM 101 had left"));
}

TEST_CASE("a card that wakes slowly out of D3cold is waited for, and recovered", "[failure]")
{
    Host host;
    const auto control = "/sys/bus/pci/devices/" + gpu + "/power/control";
    host.file(control, "auto\n");
    host.slow_write(control, 40s);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.resets(gpu) == 1);
}

TEST_CASE("a reset bit is cleared also behind a write that hangs, and what hangs does not keep settings from "
          "being undone",
          "[failure]")
{
    Host host;
    host.file(journal, R"({"vmid":101,"undo":[
        {"kind":"setting","path":"/sys/bus/pci/drivers_autoprobe","text":"1"},
        {"kind":"bridge-control","path":"/sys/bus/pci/devices/0000:00:1c.0/config","text":""}]})");
    host.file("/sys/bus/pci/drivers_autoprobe", "0\n");
    host.hang_write("/sys/bus/pci/devices/0000:00:1c.0/config");
    host.start();
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
}

TEST_CASE("an error that cannot let the card sleep again keeps its own words", "[failure]")
{
    Host host;
    const std::string d3cold = "/sys/bus/pci/devices/0000:00:1c.0/d3cold_allowed";
    host.file(d3cold, "1\n");
    host.function(gpu).never_comes_back();
    host.slow_write("/sys/class/pci_bus/0000:03/rescan", 500ms); // the port is awake by then
    host.at(300ms, [&] { host.hang_write(d3cold); });
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(has(report.errors.at(0).advice.remedy, "power-cycle the host"));
    CHECK(host.said("the card and its ports are kept awake"));
}

TEST_CASE("the port that a search keeps awake sleeps again after the guest has stopped", "[failure]")
{
    Host host;
    const auto control = "/sys/class/pci_bus/0000:03/device/power/control";
    host.file(control, "auto\n");
    host.falls_off_the_bus(gpu);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.text(control) == "on"); // while the guest may run
    host.phase(Phase::post_stop);
    CHECK(host.text(control) == "auto");
}

TEST_CASE("a program that looks at what the rescan brought is waited for, and refused only if it stays",
          "[failure]")
{
    Host host("6.14.8-2-pve"); // whose rescan binds native drivers
    host.register_first("i915");
    host.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1});
    host.slow_write("/sys/class/pci_bus/0000:03/rescan", 500ms);
    host.at(300ms, [&] {
        host.add_process(812, "alsactl", {{3, {"/dev/dri/card1", DeviceNumber{226, 1}}}});
    });
    SECTION("it lets go")
    {
        host.at(3s, [&] { host.end_process(812); });
        CHECK(host.start().exit_status() == 0);
        CHECK(host.elapsed() > 3s);
        CHECK(host.driver_of(gpu) == "vfio-pci");
    }
    SECTION("it stays")
    {
        CHECK(host.start().outcome == RunOutcome::refused);
        CHECK(host.said("is in use by a process (pid 812, alsactl)"));
        CHECK(host.elapsed() > 30s); // 'busy'
        CHECK(host.driver_of(gpu) == "i915");
    }
}
