// What Proxmox takes for a guest is judged before it takes it, whether or not a card is cycled.
#include "catch.hpp"
#include "has.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machine/paths.hpp"
#include "machines.hpp"
#include "planned.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string igpu = "0000:00:02.0", sound = "0000:00:1f.3", nic = "0000:00:1f.6", usb = "0000:00:14.0",
                  sata = "0000:00:17.0";

// An office computer: everything is a device of the chipset, on the root bus.
struct Host : FakeSystem {
    explicit Host(const std::string& guest) : FakeSystem("6.14.8-2-pve")
    {
        add_driver("e1000e", {"8086:15bc"});
        add_function("", igpu,
                     {.vendor = 0x8086, .device = 0x4680, .class_code = 0x030000, .driver = "i915"});
        add_function("", sound, {.vendor = 0x8086, .device = 0x7ad0, .class_code = 0x040300});
        add_function("", nic,
                     {.vendor = 0x8086, .device = 0x15bc, .class_code = 0x020000, .driver = "e1000e"});
        add_function("", usb, {.vendor = 0x8086, .device = 0x7ae0, .class_code = 0x0c0330});
        add_function("", sata, {.vendor = 0x8086, .device = 0x7ae2, .class_code = 0x010601});
        add_guest(*this, 101, guest);
    }
    void with_sound_and_nic_in_one_group() { set_group(11, {sound, nic}); }
    void interface_is_up() { file(interface() + "/flags", "0x1003\n"); }
    void interface_is_in_a_bridge()
    {
        interface_is_up();
        tree().set_sysfs_link(interface() + "/master", "/sys/devices/virtual/net/vmbr0");
    }
    static std::string interface() { return paths::function(address_of(nic), "net/eno1"); }
    void keyboard_is_plugged_in()
    {
        const auto hub = paths::function(address_of(usb), "usb1/");
        file(hub + "dev", "189:0\n");
        file(hub + "1-4/product", "Keychron K2\n");
    }
};

std::string refusal(const SysReader& machine)
{
    const auto plan = plan_start(machine);
    return plan.refused ? plan.refused->advice.fact : "";
}

std::string warnings(const SysReader& machine)
{
    const auto plan = plan_start(machine);
    REQUIRE_FALSE(plan.refused);
    std::string all;
    for (const auto& warning : plan.warnings) all += warning.fact + "\n";
    return all;
}

} // namespace

TEST_CASE("a network card that the guest names is its own, unless the host's network runs over it", "[taken]")
{
    Host host("hostpci0: 00:1f.6\n");
    CHECK(warnings(host).empty());
    host.interface_is_up();
    CHECK(has(warnings(host), "network interface 'eno1'"));
    SECTION("in a bridge or a bond")
    {
        host.interface_is_in_a_bridge();
        CHECK(has(refusal(host), "which is in 'vmbr0'"));
    }
    SECTION("with a route")
    {
        host.file("/proc/net/route", "Iface\tDestination\tGateway\neno1\t00000000\t0102A8C0\t0003\n");
        CHECK(has(refusal(host), "which carries a route"));
    }
    SECTION("with an address")
    {
        const std::string loopback = "00000000000000000000000000000001 01 80 10 80       lo\n";
        host.file("/proc/net/if_inet6", loopback + "fe80000000000000021f29fffe000001 02 40 20 80     eno1\n");
        CHECK(refusal(host).empty()); // every interface that is up has one of its link
        host.file("/proc/net/if_inet6", loopback + "20010db8000000000000000000000001 02 40 00 80     eno1\n");
        CHECK(has(refusal(host), "which has an address"));
    }
    SECTION("whose addresses nobody tells, because somebody in the kernel has the lock of all interfaces")
    {
        host.hang_read("/proc/net/if_inet");
        CHECK(has(refusal(host), "whose addresses the kernel does not tell"));
    }
}

TEST_CASE("a USB controller that goes along with something plugged in keeps the guest from its start",
          "[taken]")
{
    Host host("hostpci0: 00:1f.3\n");
    host.set_group(11, {sound, usb});
    host.keyboard_is_plugged_in();
    CHECK(has(refusal(host), "USB device '1-4 Keychron K2'"));
}

TEST_CASE("what another guest has is refused with its name, whatever the hook would do", "[taken]")
{
    SECTION("an integrated GPU")
    {
        Host host("hostpci0: 00:02.0\n");
        host.add_function("", "0000:00:05.0", {.driver = "vfio-pci"});
        host.set_group(1, {igpu, "0000:00:05.0"});
        host.open_vfio("0000:00:05.0", 4711, "kvm", 102);
        CHECK(has(refusal(host), "VM 102"));
    }
    SECTION("a device that is no GPU")
    {
        Host host("hostpci0: 00:17.0\n");
        host.file("/run/qemu-server/pci-id-reservations", "0000:00:17.0 102 pid:4711\n");
        host.add_process(4711, "kvm");
        host.file("/run/qemu-server/102.pid", "4711\n");
        CHECK(has(refusal(host), "VM 102"));
    }
}

TEST_CASE("a guest's setting does not turn what is in use on a card that is reset into a warning", "[taken]")
{
    FakeSystem in_scope("6.14.8-2-pve");
    add_slot(in_scope, {.group = 14});
    add_guest(in_scope, 101, "hostpci0: 06:00\n");
    in_scope.file("/etc/pve-gpu-hook/settings.json", R"({"guests": {"101": {"in_use": "warn"}}})");
    in_scope.add_node("0000:06:00.0", "drm/card0", "/dev/dri/card0", {226, 0});
    in_scope.add_process(812, "Xorg", {{7, {"/dev/dri/card0", DeviceNumber{226, 0}}}});
    CHECK(has(refusal(in_scope), "Xorg"));
    CHECK_FALSE(has(plan_start(in_scope).refused.value().advice.remedy, "in_use"));
}

TEST_CASE("a start that nothing is cycled for is refused, too, and nothing else is said", "[taken]")
{
    Host host("hostpci0: 00:1f.3\nhostpci1: 00:1F.4\n");
    host.with_sound_and_nic_in_one_group();
    host.interface_is_in_a_bridge();
    const auto report = run_phase(host, {101, Phase::pre_start, ""});
    CHECK(report.exit_status() == 1);
    CHECK(report.outcome == RunOutcome::refused);
    CHECK(host.writes().empty());
    unsigned warnings = 0;
    for (const auto& line : host.said()) warnings += line.starts_with("warning") ? 1 : 0;
    CHECK(warnings == 0);
}

TEST_CASE("a line with 'driver=' is read as the installed qemu-server reads it", "[taken]")
{
    const auto start = [](const std::string& version) {
        FakeSystem host("6.14.8-2-pve");
        add_slot(host, {.driver = "vfio-pci", .group = 14});
        add_guest(host, 101, "hostpci0: 06:00,driver=vfio\n");
        if (!version.empty())
            host.file("/var/lib/dpkg/status",
                      "Package: qemu-server\nStatus: install ok installed\nVersion: " + version + "\n");
        return read_guest_config(host, host.text("/etc/pve/qemu-server/101.conf") + "\n");
    };
    for (const auto* version : {"", "9.0.25", "9.0.26~1", "9.1.0", "10.0.1", "unreadable"})
        CHECK(start(version).hostpci.size() == 1);
    for (const auto* version : {"8.4.10", "9.0.24", "8.2.1+deb12u1"}) {
        const auto config = start(version);
        CHECK(config.hostpci.empty());
        REQUIRE(config.warnings.size() == 1);
        CHECK(has(config.warnings.front().advice.fact, std::string("qemu-server ") + version));
        CHECK(config.warnings.front().loses_device);
    }
}

TEST_CASE("what is absent and lies between two virtual functions is none of them", "[taken]")
{
    Host host("hostpci0: 0000:01:0f.7\n");
    const auto file = [&](const std::string& name, const std::string& text) {
        host.file(paths::function(address_of(nic), name), text);
    };
    file("sriov_totalvfs", "7\n");
    file("sriov_offset", "128\n");
    file("sriov_stride", "2\n");
    CHECK(has(warnings(host), "no port that could have lost it"));
    add_guest(host, 101, "hostpci0: 0000:01:10.0\n");
    CHECK(has(warnings(host), "it is virtual function"));
}

TEST_CASE("a hotplug slot whose driver does not answer is waited for no longer than a moment", "[taken]")
{
    Host host("hostpci0: 0000:09:00.0\n");
    host.file("/sys/bus/pci/slots/4/address", "0000:09:00\n");
    host.file("/sys/bus/pci/slots/4/power", "0\n");
    host.hang_read("/sys/bus/pci/slots/4/adapter"); // the firmware is asked, by ACPI
    CHECK(has(warnings(host), "its slot ('/sys/bus/pci/slots/4') is switched off"));
}
