// The fake machine answers as the kernel did in the lab. Each case is named after the row of LAB.md, or the
// place in the kernel's source, that it imitates.
#include "catch.hpp"
#include "fake_system.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"

#include <algorithm>
#include <cerrno>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string port = "0000:00:1c.0";
const std::string upstream = "0000:01:00.0";
const std::string gpu = "0000:03:00.0";
const std::string audio = "0000:04:00.0";
constexpr auto second = Milliseconds(1000);

// The Arc-like card of the lab: a switch with the GPU and its audio below two downstream ports.
void build_arc(FakeSystem& machine)
{
    machine.add_bridge("", port, {.pciehp = true});
    machine.add_bridge(port, upstream);
    machine.add_bridge(upstream, "0000:02:01.0");
    machine.add_bridge(upstream, "0000:02:04.0");
    machine.add_function("0000:02:01.0", gpu, {.driver = "bochs-drm"});
    machine.add_function(
        "0000:02:04.0", audio,
        {.vendor = 0x8086, .device = 0x2668, .class_code = 0x040300, .driver = "snd_hda_intel"});
}

struct Arc : FakeSystem {
    explicit Arc(const std::string& kernel = "6.12.117") : FakeSystem(kernel) { build_arc(*this); }

    int put(const std::string& path, const std::string& value)
    {
        return write(path, value, second).error_number;
    }
    int put(const std::string& address, const std::string& file, const std::string& value)
    {
        return put(paths::function(address_of(address), file), value);
    }
    int rescan(const std::string& bus) { return put("/sys/class/pci_bus/" + bus + "/rescan", "1"); }
    std::string value(const std::string& address, const std::string& file)
    {
        return tree().text(paths::function(address_of(address), file));
    }
    Health health(const std::string& address)
    {
        return read_config_space(*this, address_of(address), second)->health;
    }
    std::size_t bars(const std::string& address)
    {
        return read_function(*this, address_of(address))->bars.size();
    }
    void goes_to_guest(const std::string& address)
    {
        put(address, "driver/unbind", address);
        put(address, "driver_override", "vfio-pci");
        put(paths::driver("vfio-pci", "bind"), address);
    }
};

} // namespace

TEST_CASE("remove, then rescan: the native driver is bound again, driver_override is gone, nothing was reset")
{
    Arc machine;
    machine.put(gpu, "driver_override", "bochs-drm");
    machine.put(gpu, "power/control", "auto");
    CHECK(machine.put(gpu, "remove", "1") == 0);
    CHECK_FALSE(machine.present(gpu));
    CHECK_FALSE(machine.exists("/sys/bus/pci/drivers/bochs-drm/" + gpu));
    CHECK_FALSE(machine.exists("/sys/kernel/iommu_groups/4/devices/" + gpu));
    CHECK(machine.rescan("0000:03") == 0);
    CHECK(machine.driver_of(gpu) == "bochs-drm");
    CHECK(machine.value(gpu, "driver_override") == "(null)");
    CHECK(machine.value(gpu, "power/control") == "on");
    CHECK(machine.group_of(gpu) == "4");
    CHECK(machine.bars(gpu) == 1);
    CHECK(machine.resets(gpu) == 0);
}

TEST_CASE("unbind all, reset_subordinate of the root port above the switch: whole card reset, switch stays")
{
    Arc machine;
    for (const auto& each : {gpu, audio}) CHECK(machine.put(each, "driver/unbind", each) == 0);
    CHECK(machine.put(port, "reset_subordinate", "1") == 0);
    CHECK(machine.resets(gpu) == 1);
    CHECK(machine.resets(audio) == 1);
    CHECK(machine.resets(upstream) == 1);
    CHECK(machine.resets(port) == 0);
    CHECK(machine.health("0000:02:01.0") == Health::alive);
}

TEST_CASE("remove, reset_subordinate of the emptied port, rescan of the bus: the device was reset")
{
    Arc machine;
    machine.put(gpu, "remove", "1");
    machine.put("0000:02:01.0", "reset_subordinate", "1");
    machine.rescan("0000:03");
    CHECK(machine.resets(gpu) == 1);
    CHECK(machine.resets(audio) == 0);
}

TEST_CASE("reset_subordinate answers ENOTTY for a no-bus-reset quirk, but cannot see it after a remove")
{
    Arc machine;
    machine.add_function("0000:02:04.0", "0000:04:00.1", {.no_bus_reset = true});
    CHECK(machine.put(port, "reset_subordinate", "1") == ENOTTY);
    machine.put("0000:04:00.1", "remove", "1");
    CHECK(machine.put(port, "reset_subordinate", "1") == 0);
}

TEST_CASE("remove leaves, secondary bus reset by config space, rescan: the switch reads ff, the card is gone")
{
    Arc machine;
    for (const auto& each : {gpu, audio}) machine.put(each, "remove", "1");
    CHECK(machine.pulse_secondary_bus_reset(paths::function(address_of(port), "config"), 2ms, second).done());
    CHECK(machine.health(upstream) == Health::dead);
    machine.rescan("0000:03");
    CHECK_FALSE(machine.present(gpu));
}

TEST_CASE("remove the upstream port, secondary bus reset by config space, rescan of bus 01: the card is back")
{
    Arc machine;
    machine.put(upstream, "remove", "1");
    CHECK_FALSE(machine.exists("/sys/class/pci_bus/0000:03"));
    CHECK(machine.pulse_secondary_bus_reset(paths::function(address_of(port), "config"), 2ms, second).done());
    CHECK(machine.rescan("0000:01") == 0);
    CHECK(machine.health(gpu) == Health::alive);
    CHECK(machine.resets(gpu) == 1);
    CHECK(machine.bars(gpu) == 1);
    CHECK(machine.driver_of(upstream) == "pcieport");
    CHECK(machine.exists("/sys/class/pci_bus/0000:03"));
}

TEST_CASE("remove the upstream port, write the root port's rescan: can't assign, BARs lost")
{
    Arc machine;
    machine.put(upstream, "remove", "1");
    machine.put(port, "rescan", "1");
    CHECK(machine.present(gpu));
    CHECK(machine.bars(gpu) == 0);
    machine.put(upstream, "remove", "1");
    machine.rescan("0000:01");
    CHECK(machine.bars(gpu) == 1);
}

TEST_CASE("drivers_autoprobe=0, remove, rescan: up to 6.18 the native driver still binds, then nothing does")
{
    Arc old("6.12.117");
    Arc recent("6.19.3-1-pve");
    for (auto* machine : {&old, &recent}) {
        machine->put("/sys/bus/pci/drivers_autoprobe", "0");
        machine->put(upstream, "remove", "1");
        machine->rescan("0000:01");
    }
    CHECK(old.driver_of(gpu) == "bochs-drm");
    CHECK(recent.driver_of(gpu).empty());
    CHECK(recent.driver_of("0000:02:01.0").empty());
    CHECK(recent.put("/sys/bus/pci/drivers_probe", "0000:02:01.0") == 0);
    CHECK(recent.driver_of("0000:02:01.0") == "pcieport");
}

TEST_CASE("new_id on vfio-pci, remove, rescan: vfio-pci binds if it was registered before the native driver")
{
    Arc machine;
    CHECK(machine.put(paths::driver("vfio-pci", "new_id"), "1234 1111") == 0);
    CHECK(machine.put(paths::driver("vfio-pci", "new_id"), "1234 1111") == EEXIST);
    SECTION("before")
    {
        machine.register_first("vfio-pci");
        machine.put(gpu, "remove", "1");
        machine.rescan("0000:03");
        CHECK(machine.driver_of(gpu) == "vfio-pci");
    }
    SECTION("after")
    {
        machine.register_first("bochs-drm");
        machine.put(gpu, "remove", "1");
        machine.rescan("0000:03");
        CHECK(machine.driver_of(gpu) == "bochs-drm");
    }
}

TEST_CASE("new_id binds what is unbound and matches; remove_id forgets one entry (pci-driver.c)")
{
    Arc machine;
    machine.put(gpu, "driver/unbind", gpu);
    CHECK(machine.put(paths::driver("vfio-pci", "new_id"), "1234 1111 1af4 1101") == 0);
    CHECK(machine.driver_of(gpu).empty());
    CHECK(machine.put(paths::driver("vfio-pci", "new_id"), "1234 1111 1af4 1100") == 0);
    CHECK(machine.driver_of(gpu) == "vfio-pci");
    CHECK(machine.put(paths::driver("vfio-pci", "remove_id"), "1234 1111 1af4 1100") == 0);
    CHECK(machine.put(paths::driver("vfio-pci", "remove_id"), "1234 1111 1af4 1100") == ENODEV);
    CHECK(machine.put(paths::driver("vfio-pci", "new_id"), "1234") == EINVAL);
}

TEST_CASE("driver_override decides who binds; bind refuses a bound and a foreign function (bus.c, dd.c)")
{
    Arc machine;
    CHECK(machine.put(paths::driver("vfio-pci", "bind"), gpu) == ENODEV);
    machine.put(gpu, "driver_override", "vfio-pci");
    CHECK(machine.put(paths::driver("vfio-pci", "bind"), gpu) == EBUSY);
    CHECK(machine.put(paths::driver("vfio-pci", "unbind"), gpu) == ENODEV);
    machine.put(gpu, "driver/unbind", gpu);
    CHECK(machine.driver_of(gpu).empty());
    CHECK_FALSE(machine.exists("/sys/bus/pci/drivers/bochs-drm/" + gpu));
    CHECK(machine.put("/sys/bus/pci/drivers_probe", gpu) == 0);
    CHECK(machine.driver_of(gpu) == "vfio-pci");
    CHECK(machine.put("/sys/bus/pci/drivers_probe", "0000:99:00.0") == ENODEV);
}

TEST_CASE("enable of a vfio-pci function: 0 closed, 1 while a process has it open")
{
    Arc machine;
    CHECK(machine.value(gpu, "enable") == "1");
    machine.goes_to_guest(gpu);
    CHECK(machine.value(gpu, "enable") == "0");
    CHECK(machine.value(gpu, "power/control") == "auto");
    CHECK(machine.list(paths::function(address_of(gpu), "vfio-dev")).size() == 1);
    CHECK(machine.device_number("/dev/vfio/4") == DeviceNumber{511, 4, false});
    machine.open_vfio(gpu, 102);
    CHECK(machine.value(gpu, "enable") == "1");
    machine.close_vfio(gpu);
    CHECK(machine.value(gpu, "enable") == "0");
}

TEST_CASE("reset or reset_subordinate while a process has the vfio device open: succeeds")
{
    Arc machine;
    machine.goes_to_guest(gpu);
    machine.open_vfio(gpu, 102);
    CHECK(machine.put(gpu, "reset", "1") == 0);
    CHECK(machine.put(port, "reset_subordinate", "1") == 0);
    CHECK(machine.resets(gpu) == 2);
}

TEST_CASE("write to unbind while the vfio device is open: blocks until it is closed")
{
    Arc machine;
    machine.goes_to_guest(gpu);
    machine.open_vfio(gpu, 102);
    const auto outcome = machine.write(paths::function(address_of(gpu), "driver/unbind"), gpu, second);
    CHECK(outcome.still_running());
    CHECK(outcome.child != 0);
    CHECK(outcome.child_stack.find("vfio_unregister_group_dev") != std::string::npos);
    CHECK(machine.elapsed() == second);
    CHECK(machine.driver_of(gpu) == "vfio-pci");
    machine.close_vfio(gpu);
    CHECK(machine.driver_of(gpu).empty());
}

TEST_CASE("write to remove while open: blocks and holds the lock of every other rescan and remove")
{
    Arc machine;
    machine.goes_to_guest(gpu);
    machine.open_vfio(gpu, 102);
    machine.put(audio, "remove", "1");
    CHECK(machine.write(paths::function(address_of(gpu), "remove"), "1", second).still_running());
    CHECK(machine.write("/sys/class/pci_bus/0000:04/rescan", "1", second).still_running());
    machine.at(500ms, [&] { machine.close_vfio(gpu); });
    CHECK(machine.wait_until([&] { return !machine.present(gpu); }, second));
    CHECK(machine.present(audio));
}

TEST_CASE("/proc/PID/fdinfo of a vfio device fd: 7.2 has vfio-device-syspath, 6.1 has nothing")
{
    Arc old("6.1.187");
    Arc recent("7.2.11");
    for (auto* machine : {&old, &recent}) {
        machine->goes_to_guest(gpu);
        machine->open_vfio(gpu, 102);
        CHECK(machine->read_link("/proc/102/fd/11") == "/dev/vfio/4");
    }
    CHECK(old.read("/proc/102/fdinfo/12")->find("syspath") == std::string::npos);
    CHECK(recent.read("/proc/102/fdinfo/12")->find("vfio-device-syspath: /sys/devices/pci0000:00/") !=
          std::string::npos);
}

TEST_CASE("two functions in one group, removed and rescanned: IOMMU group numbers can change")
{
    Arc machine;
    machine.set_group(14, {gpu});
    machine.set_group(15, {audio});
    for (const auto& each : {gpu, audio}) machine.put(each, "remove", "1");
    machine.rescan("0000:04");
    machine.rescan("0000:03");
    CHECK(machine.group_of(audio) == "14");
    CHECK(machine.group_of(gpu) == "15");
}

TEST_CASE("pciehp's port service unbound, bound again")
{
    Arc machine;
    const std::string service = "0000:00:1c.0:pcie004";
    const std::string driver = "/sys/bus/pci_express/drivers/pciehp";
    CHECK(machine.exists(driver + '/' + service));
    CHECK(machine.put(driver + "/unbind", service) == 0);
    CHECK_FALSE(machine.exists(driver + '/' + service));
    CHECK(machine.put(driver + "/unbind", service) == ENODEV);
    CHECK(machine.put(driver + "/bind", service) == 0);
    CHECK(machine.exists(driver + '/' + service + "/driver"));
}

TEST_CASE("a function comes back late, never, dead, smaller, as another or elsewhere (not shown on a kernel)")
{
    Arc machine;
    const auto cycle = [&] {
        machine.put(gpu, "remove", "1");
        machine.rescan("0000:03");
    };
    SECTION("late")
    {
        machine.function(gpu).comes_back_after(300ms);
        cycle();
        CHECK_FALSE(machine.present(gpu));
        CHECK(machine.wait_until([&] { return machine.present(gpu); }, second));
        CHECK(machine.elapsed() == 300ms);
        CHECK(machine.driver_of(gpu) == "bochs-drm");
    }
    SECTION("never")
    {
        machine.function(gpu).never_comes_back();
        cycle();
        CHECK_FALSE(machine.present(gpu));
        CHECK_FALSE(machine.wait_until([&] { return machine.present(gpu); }, second));
    }
    SECTION("dead")
    {
        machine.function(gpu).comes_back_dead();
        cycle();
        CHECK(machine.health(gpu) == Health::dead);
    }
    SECTION("another")
    {
        machine.function(gpu).comes_back_with_id(0x1234, 0x2222);
        cycle();
        CHECK(machine.value(gpu, "device") == "0x2222");
        CHECK(machine.driver_of(gpu).empty());
    }
    SECTION("elsewhere")
    {
        machine.function(gpu).comes_back_in_group_with(audio);
        cycle();
        CHECK(machine.group_of(gpu) == machine.group_of(audio));
    }
}

TEST_CASE("a smaller BAR is put back by resourceN_resize, while unbound (resource_resize_store)")
{
    FakeSystem machine;
    machine.add_bridge("", port);
    machine
        .add_function(port, gpu,
                      {.driver = "i915", .bars = {{0, 0, 0x40000000, true}}, .resizable_bars = {0}})
        .comes_back_with_smaller_bar(0, 0x10000000);
    const auto size = [&] { return read_function(machine, address_of(gpu))->bars.at(0).size; };
    machine.write(paths::function(address_of(gpu), "remove"), "1", second);
    machine.write("/sys/class/pci_bus/0000:01/rescan", "1", second);
    CHECK(size() == 0x10000000);
    const auto resize = paths::function(address_of(gpu), "resource0_resize");
    CHECK(machine.write(resize, "10", second).error_number == EBUSY);
    machine.write(paths::function(address_of(gpu), "driver/unbind"), gpu, second);
    CHECK(machine.write(resize, "10", second).done());
    CHECK(size() == 0x40000000);
}

TEST_CASE("a driver's device nodes go and come with it")
{
    Arc machine;
    machine.add_node(gpu, "drm/card1", "/dev/dri/card1", {226, 1, false});
    CHECK(machine.tree().text(paths::function(address_of(gpu), "drm/card1/dev")) == "226:1");
    machine.put(gpu, "driver/unbind", gpu);
    CHECK_FALSE(machine.exists("/dev/dri/card1"));
    machine.put("/sys/bus/pci/drivers_probe", gpu);
    CHECK(machine.device_number("/dev/dri/card1") == DeviceNumber{226, 1, false});
}

TEST_CASE("faults are injected by path")
{
    Arc machine;
    const auto remove = paths::function(address_of(gpu), "remove");
    machine.refuse_write(remove, EAGAIN, 2);
    CHECK(machine.put(remove, "1") == EAGAIN);
    CHECK(machine.put(remove, "1") == EAGAIN);
    machine.hang_write(paths::function(address_of(audio), "remove"));
    CHECK(machine.write(paths::function(address_of(audio), "remove"), "1", second).still_running());
    machine.ignore_write("/sys/class/pci_bus/0000:03/rescan");
    CHECK(machine.put(remove, "1") == 0);
    CHECK(machine.rescan("0000:03") == 0);
    CHECK_FALSE(machine.present(gpu));
    CHECK(machine.writes().back() == "/sys/class/pci_bus/0000:03/rescan = 1");
    machine.delay_effect(paths::function(address_of(port), "reset_subordinate"), 50ms);
    CHECK(machine.put(port, "reset_subordinate", "1") == 0);
    CHECK(machine.resets(audio) == 0);
    machine.advance(50ms);
    CHECK(machine.resets(audio) == 1);
}

TEST_CASE("what can block for ever must be read within a time")
{
    Arc machine;
    machine.hang_read(paths::function(address_of(gpu), "config"));
    CHECK_THROWS_AS(machine.read(paths::function(address_of(gpu), "driver_override")), std::logic_error);
    CHECK_THROWS_AS(machine.read("/etc/pve/qemu-server/101.conf"), std::logic_error);
    CHECK(machine.read_within("/etc/pve/qemu-server/101.conf", 100, second).error_number == ENOENT);
    CHECK_FALSE(read_config_space(machine, address_of(gpu), second).has_value());
    CHECK(machine.elapsed() == second);
}

TEST_CASE("SIGTERM ends a wait, and a lock is waited for")
{
    Arc machine;
    machine.hold_lock("/run/pve-gpu-hook/lock", 2s);
    CHECK_FALSE(machine.lock("/run/pve-gpu-hook/lock", second));
    CHECK(machine.lock("/run/pve-gpu-hook/lock", second));
    machine.interrupt_at(100ms);
    CHECK_THROWS_AS(machine.wait_until([] { return false; }, second), Error);
}
