#include "commands/guest_verification.hpp"

#include "catch.hpp"
#include "ct_hosts.hpp"
#include "install_hosts.hpp"

#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const Finding& check(const GuestVerification& guest, const std::string& name)
{
    for (const auto& one : guest.checks)
        if (one.name == name) return one;
    FAIL("no check " + name);
    return guest.checks.front();
}

void add_container_with_gpu(FakeSystem& machine)
{
    add_nvidia_host(machine, {.loaded = true});
    add_host(machine);
    add_container(machine, 901, "dev0: /dev/nvidia0\n");
    start_container(machine, 901, 5001);
    give_node(machine, 5001, "/dev/nvidia0", {195, 0});
    machine.file("/proc/5001/root/usr/lib64/libnvidia-ml.so.550.90.07", "");
    machine.answer_run("/usr/sbin/pct exec 901 -- nvidia-smi --query-gpu=name,driver_version,memory.total "
                       "--format=csv,noheader",
                       0, "NVIDIA GeForce RTX 3090, 550.90.07, 24576 MiB\n");
    machine.answer_run("/usr/sbin/pct exec 901 -- ffmpeg -hide_banner -loglevel error -f lavfi -i "
                       "testsrc2=duration=2:size=1280x720 -c:v h264_nvenc -f null -",
                       127, "lxc-attach: 901: Failed to exec \"ffmpeg\"\n");
}

SysResult ended(int status, const std::string& text)
{
    return {status == 0 ? SysResult::Kind::done : SysResult::Kind::refused, status, text, 0, ""};
}

} // namespace

TEST_CASE("a container with everything in place passes; a missing tool is no failure", "[verify][ct]")
{
    FakeSystem machine;
    add_container_with_gpu(machine);
    const auto before = machine.effects().size();
    const auto guest = verify_container(machine, 901);
    CHECK(guest.good());
    CHECK(check(guest, "gpu.visible").evidence == "nvidia0 195:0");
    CHECK(check(guest, "driver.loaded").verdict == Verdict::ok);
    CHECK(check(guest, "versions.match").evidence == "module 550.90.07, libraries 550.90.07");
    CHECK(check(guest, "nvidia-smi").evidence == "NVIDIA GeForce RTX 3090, 550.90.07, 24576 MiB");
    CHECK(check(guest, "load").verdict == Verdict::note);
    const nlohmann::json json = verification_json({guest});
    CHECK(json["schema"] == "pve-gpu-hook/verify/1");
    CHECK(json["guests"][0]["vmid"] == 901);
    CHECK(json["guests"][0]["type"] == "ct");
    REQUIRE(machine.effects().size() == before + 2);
    for (auto i = before; i < machine.effects().size(); ++i) // read-only
        CHECK(machine.effects()[i].starts_with("run /usr/sbin/pct exec 901 -- "));
}

TEST_CASE("a container of another version, without a node, or that does not run fails with a remedy",
          "[verify][ct]")
{
    FakeSystem machine;
    add_container_with_gpu(machine);
    machine.tree().erase("/proc/5001/root/usr/lib64/libnvidia-ml.so.550.90.07");
    machine.file("/proc/5001/root/usr/lib64/libnvidia-ml.so.535.10", "");
    machine.tree().erase("/proc/5001/root/dev/nvidia0");
    const auto guest = verify_container(machine, 901);
    CHECK_FALSE(guest.good());
    CHECK(check(guest, "versions.match")
              .evidence.starts_with("the container's NVIDIA libraries are of version 535.10 ("));
    CHECK(check(guest, "gpu.visible").remedy.words == "restart it: 'pct reboot 901'");
    stop_container(machine, 901, 5001);
    CHECK(check(verify_container(machine, 901), "guest.running").verdict == Verdict::error);
    CHECK_THROWS_AS(verify_container(machine, 902), Error);
    add_container(machine, 903, "template: 1\ndev0: /dev/nvidia0\n"); // it never runs
    CHECK_THROWS_AS(verify_container(machine, 903), Error);
}

TEST_CASE(
    "with the whole of /dev/dri a container has the GPUs that are in it: a VM's card is none of them, a "
    "server's own display has nothing to test",
    "[verify][ct]")
{
    FakeSystem machine;
    add_host(machine);
    add_slot(machine, {.driver = "vfio-pci"});
    machine.open_vfio("0000:06:00.0", 4711, "kvm", 101);
    add_arc(machine);
    machine.add_node("0000:03:00.0", "drm/card1", "/dev/dri/card1", {226, 1});
    machine.add_node("0000:03:00.0", "drm/renderD129", "/dev/dri/renderD129", {226, 129});
    machine.add_driver("ast", {"1a03:2000"});
    machine.add_bridge("", "0000:00:05.0", {.secondary_bus = 0x0a});
    machine.add_function("0000:00:05.0", "0000:0a:00.0",
                         {.vendor = 0x1a03, .device = 0x2000, .class_code = 0x030000, .driver = "ast"});
    machine.add_node("0000:0a:00.0", "drm/card0", "/dev/dri/card0", {226, 0});
    add_container(machine, 901, "lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n");
    start_container(machine, 901, 5001);
    give_node(machine, 5001, "/dev/dri/renderD129", {226, 129});
    const std::string exec = "/usr/sbin/pct exec 901 -- ";
    machine.answer_run(exec + "vainfo --display drm --device /dev/dri/renderD129", 0,
                       "VA-API version: 1.17\n");
    machine.answer_run(exec +
                           "ffmpeg -hide_banner -loglevel error -vaapi_device /dev/dri/renderD129 -f lavfi "
                           "-i testsrc2=duration=2:size=1280x720 -vf format=nv12,hwupload -c:v h264_vaapi "
                           "-f null -",
                       0, "");
    const auto guest = verify_container(machine, 901);
    CHECK(guest.good());
    CHECK(check(guest, "driver.loaded").evidence == "'0000:03:00.0': 'i915', '0000:0a:00.0': 'ast'");
    CHECK(check(guest, "vainfo").evidence == "VA-API version: 1.17");
    CHECK(check(guest, "load").verdict == Verdict::ok);
    CHECK(std::none_of(guest.checks.begin(), guest.checks.end(), [](const Finding& one) {
        return one.name == "nvidia-smi" || one.name == "versions.match";
    }));
}

TEST_CASE(
    "each GPU of a container is loaded through its own node, and what it was not given is not asked for",
    "[verify][ct]")
{
    FakeSystem machine;
    add_container_with_gpu(machine); // NVIDIA's
    add_arc(machine);
    machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    const std::string mount = "lxc.mount.entry: /dev/dri/by-path/pci-0000:03:00.0-render dev/dri/renderD200 "
                              "none bind,create=file\n";
    const auto ran = [&](const std::string& command) {
        const auto& effects = machine.effects();
        return std::any_of(effects.begin(), effects.end(), [&](const std::string& effect) {
            return effect.starts_with("run /usr/sbin/pct exec 901 -- " + command);
        });
    };
    add_container(machine, 901, mount);
    verify_container(machine, 901);
    CHECK(ran("vainfo --display drm --device /dev/dri/renderD200"));
    CHECK_FALSE(ran("nvidia-smi"));
    add_container(machine, 901, mount + "dev0: /dev/nvidia0\n");
    verify_container(machine, 901);
    CHECK(ran("nvidia-smi"));
    CHECK(ran("ffmpeg -hide_banner -loglevel error -vaapi_device /dev/dri/renderD200"));
    CHECK(ran("ffmpeg -hide_banner -loglevel error -f lavfi"));
    CHECK_FALSE(ran("rocminfo"));
}

TEST_CASE("a tool that hangs in the guest is given up", "[verify][ct]")
{
    FakeSystem machine;
    add_container_with_gpu(machine);
    machine.hang_write("/usr/sbin/pct");
    const auto guest = verify_container(machine, 901);
    CHECK(check(guest, "nvidia-smi").verdict == Verdict::unknown);
    CHECK(machine.elapsed() <= Milliseconds(60'000));
}

TEST_CASE("a VM's GPU is looked for on its own PCI bus, with the driver that it has there", "[verify]")
{
    FakeSystem machine;
    add_arc(machine, {.driver = "vfio-pci"});
    add_host(machine);
    add_vm(machine, 101, "hostpci0: 0000:03:00.0,pcie=1\n");
    CHECK(check(verify_vm(machine, 101), "guest.running").verdict == Verdict::error);
    machine.add_process(4711, "kvm");
    machine.file("/run/qemu-server/101.pid", "4711\n");
    const std::string cat = "/usr/sbin/qm guest exec 101 --timeout 25 -- cat /proc/bus/pci/devices";
    machine.answer_run(cat, 255, "QEMU guest agent is not running\n");
    CHECK(check(verify_vm(machine, 101), "guest.agent").verdict == Verdict::unknown);
    machine.answer_run(
        cat, 0,
        R"({"exitcode": 0, "exited": 1, "out-data": "0008\t80862918\t0\n0100\t808656a6\t10\ti915\n"})");
    const auto guest = verify_vm(machine, 101);
    CHECK(check(guest, "gpu.visible").verdict == Verdict::ok);
    CHECK(check(guest, "driver.loaded").evidence == "'0000:03:00.0' (8086:56a6) has the driver 'i915'");
    machine.answer_run(cat, 0, R"({"exitcode": 0, "exited": 1, "out-data": "0100\t808656a6\t10\t0\n"})");
    CHECK(check(verify_vm(machine, 101), "driver.loaded").verdict == Verdict::error);
    machine.answer_run(cat, 0, R"({"exitcode": 0, "exited": 1, "out-data": "0100\t12341111\t10\tbochs\n"})");
    CHECK(check(verify_vm(machine, 101), "gpu.visible").verdict == Verdict::error);
    CHECK_THROWS_AS(verify_vm(machine, 102), Error);
}

TEST_CASE("two cards of one kind are two in the VM; one that is missing is not taken for the other",
          "[verify]")
{
    FakeSystem machine;
    add_arc(machine, {.driver = "vfio-pci"});
    machine.add_bridge("", "0000:00:03.0", {.secondary_bus = 0x09});
    machine.add_function("0000:00:03.0", "0000:09:00.0",
                         {.vendor = 0x8086, .device = 0x56a6, .class_code = 0x030000, .driver = "vfio-pci"});
    add_host(machine);
    add_vm(machine, 101, "hostpci0: 0000:03:00.0\nhostpci1: 0000:09:00.0\n");
    machine.add_process(4711, "kvm");
    machine.file("/run/qemu-server/101.pid", "4711\n");
    machine.answer_run("/usr/sbin/qm guest exec 101 --timeout 25 -- cat /proc/bus/pci/devices", 0,
                       R"({"exitcode": 0, "exited": 1, "out-data": "0100\t808656a6\t10\ti915\n"})");
    const auto guest = verify_vm(machine, 101);
    CHECK_FALSE(guest.good());
    CHECK(std::count_if(guest.checks.begin(), guest.checks.end(), [](const Finding& one) {
              return one.name == "gpu.visible" && one.verdict == Verdict::error;
          }) == 1);
    // Alternatives of a mapping: it has the one that is reserved for it, and the other is not missing.
    machine.file("/run/qemu-server/pci-id-reservations", "0000:09:00.0 101 pid:4711\n");
    const auto one = verify_vm(machine, 101);
    CHECK(one.good());
    CHECK(check(one, "gpu.visible").evidence == "'0000:09:00.0' (8086:56a6) is on the guest's PCI bus");
}

TEST_CASE("what guests answer is told apart: done, failed, not installed, no answer", "[verify]")
{
    using Kind = GuestAnswer::Kind;
    CHECK(parse_attach_answer(ended(0, "x")).kind == Kind::done);
    CHECK(parse_attach_answer(ended(9, "x")).kind == Kind::failed);
    CHECK(parse_attach_answer(ended(127, "x")).kind == Kind::not_installed);
    CHECK(parse_attach_answer({SysResult::Kind::still_running, 0, "", 1, ""}).kind == Kind::no_answer);
    CHECK(parse_agent_answer(ended(0, R"({"exitcode":0,"exited":1,"out-data":"a"})")).text == "a");
    CHECK(parse_agent_answer(ended(0, R"({"exitcode":4294967296})")).kind == GuestAnswer::Kind::failed);
    CHECK(parse_agent_answer(ended(0, R"({"exitcode":3,"exited":1,"err-data":"b"})")).kind == Kind::failed);
    CHECK(parse_agent_answer(ended(0, R"({"pid":77})")).kind == Kind::no_answer);
    CHECK(parse_agent_answer(ended(0, R"({"exitcode":"no","out-data":7})")).kind == Kind::no_answer);
    // As qm prints it: pretty, behind what it warns of.
    CHECK(parse_agent_answer(ended(0, "vm 101 - unable to parse config: bogus\n{\n   \"exitcode\" : 0,\n   "
                                      "\"exited\" : 1,\n   \"out-data\" : \"a\"\n}\n"))
              .text == "a");
    CHECK(parse_agent_answer(ended(0, "timeout reached, returning pid\n{\n   \"pid\" : 77\n}\n")).kind ==
          Kind::no_answer);
    CHECK(parse_agent_answer(ended(0, R"({"exited":1,"signal":9})")).kind == Kind::failed);
    CHECK(parse_agent_answer(ended(255,
                                   "Agent error: Failed to execute child process \xe2\x80\x9cvainfo\xe2\x80"
                                   "\x9d (No such file or directory)\n"))
              .kind == Kind::not_installed);
}
