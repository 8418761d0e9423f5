// The host's console on the guest's GPU. Debian's kernels have no simpledrm, and the lab's card is never the
// boot console: the firmware framebuffer is not shown on a kernel.
#include "catch.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machines.hpp"
#include "recovery/guest_state.hpp"

#include <algorithm>
#include <cerrno>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string gpu = "0000:03:00.0";
const std::string console = "/sys/class/vtconsole/vtcon1/bind";

struct Host : FakeSystem {
    explicit Host(const ArcOptions& options = {}) : FakeSystem("7.0.2-1-pve")
    {
        add_arc_for_vm_101(*this, options);
        file("/sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
        file("/sys/class/vtconsole/vtcon0/bind", "0\n");
        file("/sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
        file(console, "1\n");
    }

    void screen_on(const std::string& name, const std::string& place)
    {
        tree().set_link("/sys/class/graphics/" + name, place);
    }
    bool wrote(const std::string& line) const
    {
        return std::find(writes().begin(), writes().end(), line) != writes().end();
    }
};

const std::string on_the_gpu =
    "../../devices/pci0000:00/0000:00:1c.0/0000:01:00.0/0000:02:01.0/0000:03:00.0/graphics/fb0";

} // namespace

TEST_CASE("a console on the GPU alone is taken off it, with a warning", "[console]")
{
    Host host;
    host.screen_on("fb0", on_the_gpu);
    const auto report = run_phase(host, {101, Phase::pre_start, ""});
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.wrote(console + " = 0"));
    CHECK(host.said("host console on '0000:03:00.0' turned off"));
}

TEST_CASE("a console that has another screen stays", "[console]")
{
    Host host;
    host.screen_on("fb0", on_the_gpu);
    host.screen_on("fb1", "../../devices/pci0000:00/0000:00:02.0/graphics/fb1");
    run_phase(host, {101, Phase::pre_start, ""});
    CHECK_FALSE(host.wrote(console + " = 0"));
}

TEST_CASE("a console on another GPU stays", "[console]")
{
    Host host;
    host.screen_on("fb0", "../../devices/pci0000:00/0000:00:02.0/graphics/fb0");
    run_phase(host, {101, Phase::pre_start, ""});
    CHECK_FALSE(host.wrote(console + " = 0"));
}

TEST_CASE("the firmware's framebuffer on the boot GPU is let go of", "[console][not-shown-on-a-kernel]")
{
    Host host;
    host.file("/sys/bus/pci/devices/0000:03:00.0/boot_vga", "1\n");
    host.screen_on("fb0", "../../devices/platform/efi-framebuffer.0/graphics/fb0");
    host.file("/sys/bus/platform/devices/efi-framebuffer.0/driver/unbind", "");
    run_phase(host, {101, Phase::pre_start, ""});
    CHECK(host.wrote("/sys/bus/platform/devices/efi-framebuffer.0/driver/unbind = efi-framebuffer.0"));
}

TEST_CASE("the console comes back when the guest has stopped", "[console]")
{
    Host host;
    host.screen_on("fb0", on_the_gpu);
    host.file("/etc/pve-gpu-hook/settings.json", R"({"after_stop": "native"})");
    run_phase(host, {101, Phase::pre_start, ""});
    CHECK(host.text(console) == "0");
    run_phase(host, {101, Phase::post_stop, ""});
    CHECK(host.text(console) == "1");
}

TEST_CASE("the console comes back when the start fails", "[console]")
{
    Host host;
    host.screen_on("fb0", on_the_gpu);
    host.hang_write("/sys/bus/pci/drivers/i915/unbind");
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
    CHECK(host.text(console) == "1");
}

TEST_CASE("the firmware's framebuffer is let go of also where no driver is bound to the boot GPU",
          "[console][not-shown-on-a-kernel]")
{
    Host host({.driver = ""});
    host.file("/sys/bus/pci/devices/0000:03:00.0/boot_vga", "1\n");
    host.screen_on("fb0", "../../devices/platform/simple-framebuffer.0/graphics/fb0");
    host.file("/sys/bus/platform/devices/simple-framebuffer.0/driver/unbind", "");
    run_phase(host, {101, Phase::pre_start, ""});
    const auto at = [&](const std::string& write) {
        return std::find(host.writes().begin(), host.writes().end(), write) - host.writes().begin();
    };
    CHECK(host.text(console) == "0");
    CHECK(at("/sys/bus/platform/devices/simple-framebuffer.0/driver/unbind = simple-framebuffer.0") <
          at("/sys/bus/pci/devices/0000:00:1c.0/reset_subordinate = 1"));
}

TEST_CASE("the console comes back at the stop also after a second rung", "[console]")
{
    Host host;
    host.screen_on("fb0", on_the_gpu);
    host.refuse_write("/sys/class/pci_bus/0000:03/rescan", ENODEV, 1); // the first rung's
    host.file("/etc/pve-gpu-hook/settings.json", R"({"retries": 0, "after_stop": "native"})");
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 0);
    CHECK(host.text(console) == "0");
    run_phase(host, {101, Phase::post_stop, ""});
    CHECK(host.text(console) == "1");
}

TEST_CASE("a console whose lock somebody keeps does not hang the start", "[console]")
{
    Host host;
    host.screen_on("fb0", on_the_gpu);
    host.hang_read(console);
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 0);
    CHECK(host.elapsed() < std::chrono::seconds(10));
}
