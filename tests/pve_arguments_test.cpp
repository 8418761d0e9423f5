// What we hand to Proxmox's tools, read by their rules.
#include "pve_arguments.hpp"

#include "base/text.hpp"
#include "catch.hpp"
#include "commands/guest_verification.hpp"
#include "ct_hosts.hpp"
#include "install_hosts.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

using Words = std::vector<std::string>;

// Every run of the tool, behind its command.
std::vector<Words> runs_of(const FakeSystem& machine, const std::string& command)
{
    std::vector<Words> runs;
    for (const auto& effect : machine.effects()) {
        if (!effect.starts_with("run " + command + " ")) continue;
        auto& words = runs.emplace_back();
        const auto behind = effect.substr(5 + command.size());
        for (const auto word : split(behind, ' ')) words.emplace_back(word);
    }
    return runs;
}

} // namespace

TEST_CASE("Proxmox's tools take options anywhere before '--' and nothing that they do not know", "[pve]")
{
    const auto exec = read_as_proxmox({"901", "--", "ffmpeg", "-c:v", "h264_nvenc", "--", "-"}, pct_exec);
    REQUIRE(exec);
    CHECK(exec->vmid == "901");
    CHECK(exec->extra == Words{"ffmpeg", "-c:v", "h264_nvenc", "--", "-"});
    CHECK_FALSE(read_as_proxmox({"901", "ffmpeg", "-c:v", "h264_nvenc"}, pct_exec)); // without '--'
    const auto set = read_as_proxmox({"901", "--dev0", "/dev/kfd", "-delete", "dev1,dev2"}, pct_set);
    REQUIRE(set);
    CHECK(set->options.at("delete") == "dev1,dev2");
    CHECK_FALSE(read_as_proxmox({"901", "--dev256", "/dev/kfd"}, pct_set));
    CHECK_FALSE(read_as_proxmox({"901", "--dev0"}, pct_set));
    CHECK_FALSE(read_as_proxmox({"901", "902"}, pct_reboot));
    CHECK_FALSE(read_as_proxmox({}, pct_reboot));
}

TEST_CASE("what verify runs in a container arrives there as it was meant", "[pve][verify]")
{
    FakeSystem machine;
    add_nvidia_host(machine, {.loaded = true});
    add_host(machine);
    add_arc(machine);
    machine.add_node("0000:03:00.0", "drm/renderD128", "/dev/dri/renderD128", {226, 128});
    add_container(machine, 901, "dev0: /dev/nvidia0\ndev1: /dev/dri/renderD128\ndev2: /dev/kfd\n");
    start_container(machine, 901, 5001);
    machine.add_program("/usr/sbin/pct");
    verify_container(machine, 901);
    const auto runs = runs_of(machine, "/usr/sbin/pct exec");
    Words programs;
    for (const auto& words : runs) {
        const auto read = read_as_proxmox(words, pct_exec);
        REQUIRE(read);
        CHECK(read->vmid == "901");
        CHECK(read->options.empty());
        CHECK(read->extra == Words(words.begin() + 2, words.end()));
        programs.push_back(read->extra.front());
    }
    CHECK(programs == Words{"nvidia-smi", "vainfo", "rocminfo", "ffmpeg", "ffmpeg"});
}

TEST_CASE("what verify runs in a VM arrives there as it was meant, and qm gives up before we do",
          "[pve][verify]")
{
    FakeSystem machine;
    add_arc(machine, {.driver = "vfio-pci"});
    add_host(machine);
    add_vm(machine, 101, "hostpci0: 0000:03:00.0\n");
    machine.add_process(4711, "kvm");
    machine.file("/run/qemu-server/101.pid", "4711\n");
    machine.answer_run("/usr/sbin/qm guest exec 101 --timeout 25 -- cat /proc/bus/pci/devices", 0,
                       R"({"exitcode": 0, "exited": 1, "out-data": "0100\t808656a6\t10\ti915\n"})");
    verify_vm(machine, 101);
    const auto runs = runs_of(machine, "/usr/sbin/qm guest exec");
    CHECK(runs.size() == 3); // cat, vainfo, ffmpeg
    for (const auto& words : runs) {
        const auto read = read_as_proxmox(words, qm_guest_exec);
        REQUIRE(read);
        CHECK(read->vmid == "101");
        CHECK(read->options.at("timeout") == "25");
        CHECK(read->extra == Words(words.begin() + 4, words.end()));
    }
}
