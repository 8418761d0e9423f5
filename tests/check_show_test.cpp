// What check prints as JSON, the list in the documentation, and that it wakes and changes nothing. Its texts
// are tests/hosts/*/check.txt.
#include "base/error.hpp"
#include "base/text.hpp"
#include "catch.hpp"
#include "check/facts.hpp"
#include "check/iommu_checks.hpp"
#include "check/known_messages.hpp"
#include "check/quiet_reader.hpp"
#include "check/show_checks.hpp"
#include "check_cases.hpp"
#include "commands/capture.hpp"
#include "commands/captured_host.hpp"
#include "commands/commands.hpp"
#include "ct_hosts.hpp"
#include "golden.hpp"
#include "host_folder.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"
#include "printed_console.hpp"

#include <cerrno>
#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

// Remembers what was read, and nothing else may be done to it.
class Watched : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;
    mutable std::vector<std::string> reads;

    std::optional<std::string> read(const std::string& path) const override
    {
        reads.push_back(path);
        return ForwardingSystem::read(path);
    }
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override
    {
        reads.push_back(path);
        return ForwardingSystem::read_within(path, bytes, timeout);
    }

    bool has_read(const std::string& address, const std::string& attribute) const
    {
        const auto path = "/sys/bus/pci/devices/" + address + "/" + attribute;
        return std::find(reads.begin(), reads.end(), path) != reads.end();
    }
};

void put_to_sleep(FakeSystem& machine, const std::string& address, const std::string& state)
{
    set_attribute(machine, address, "power_state", state + "\n");
    set_attribute(machine, address, "power/runtime_status", "suspended\n");
}

Findings findings_of(FakeSystem& machine)
{
    return run_checks(read_check_facts(machine));
}

// Much that goes wrong on real hosts at once.
Findings findings_of_bad_host()
{
    FakeSystem machine;
    load_host(machine, read_host_folder(hosts_directory + "bad"));
    return findings_of(machine);
}

int check_with(FakeSystem& machine, Printed& console, Options options)
{
    Session session{machine, console, std::move(options)};
    return check(session);
}

} // namespace

TEST_CASE("a capture wakes no device", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    put_to_sleep(machine, "0000:03:00.0", "D3cold");
    Watched watched(machine);
    CHECK(capture_machine(watched).find("power_state = D3cold") != std::string::npos);
    CHECK(capture_guest(watched, 101).at("machine").find("power_state = D3cold") != std::string::npos);
    for (const auto& path : watched.reads)
        if (path.find("/0000:03:00.0/") != std::string::npos)
            for (const auto* attribute : {"/config", "_link_width", "_link_speed", "_resize"}) {
                INFO(path);
                CHECK_FALSE(path.ends_with(attribute));
            }
    CHECK(machine.effects().empty());
}

TEST_CASE("the list in the documentation is the one that check --list prints", "[check]")
{
    check_golden("/../docs/checks.md", checks_list());
}

TEST_CASE("check as JSON has what CONTRACT.md promises of each finding", "[check]")
{
    const auto text = print(findings_json(findings_of_bad_host(), {}, {}));
    check_golden("/checks/bad.json", text);
    const auto json = nlohmann::json::parse(text);
    CHECK(json["schema"] == "pve-gpu-hook/check/1");
    CHECK(json["worst"] == "error");
    for (const auto& one : json["checks"])
        for (const auto* key : {"name", "title", "subject", "verdict", "evidence", "why", "remedy", "command",
                                "install_does_it"})
            CHECK(one.contains(key));
}

TEST_CASE("check exits with 1 on an error only, and can be narrowed to a guest", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    Printed well, one, other, missing;
    CHECK(check_with(machine, well, {}) == exit_done);
    add_vm(machine, 102, "hostpci0: 0A:00.0\n"); // dropped: upper case
    CHECK(check_with(machine, one, {.vms = {101}}) == exit_done);
    CHECK(one.text.find("VM 102") == std::string::npos);
    CHECK(check_with(machine, other, {.vms = {102}}) == exit_failed);
    CHECK(other.text.find("VM 101") == std::string::npos);
    CHECK(other.text.find("0000:03:00.0") == std::string::npos);
    CHECK(other.text.find("iommu.enabled") != std::string::npos); // the host is everybody's
    CHECK_THROWS_AS(check_with(machine, missing, {.vms = {999}}), Error);
}

TEST_CASE("check can be narrowed to a container, and says so where a number is of the other kind", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_nvidia_host(machine);
    add_container(machine, 901, "dev0: /dev/nvidia0\n");
    Printed ct, vm, not_a_vm, not_a_ct;
    CHECK(check_with(machine, ct, {.containers = {901}}) == exit_failed);
    CHECK(ct.text.find("ct.nodes") != std::string::npos);
    CHECK(ct.text.find("VM 101") == std::string::npos);
    CHECK(check_with(machine, vm, {.vms = {101}}) == exit_done);
    CHECK(vm.text.find("container 901") == std::string::npos);
    CHECK_THROWS_AS(check_with(machine, not_a_vm, {.vms = {901}}), Error);
    CHECK_THROWS_AS(check_with(machine, not_a_ct, {.containers = {101}}), Error);
}

TEST_CASE("check wakes no device, changes nothing, and never reads sriov_numvfs", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    set_attribute(machine, "0000:03:00.0", "sriov_numvfs", "0\n");
    put_to_sleep(machine, "0000:00:1c.0", "D3hot");
    put_to_sleep(machine, "0000:03:00.0", "D3cold");
    Watched watched(machine);
    read_check_facts(watched);
    for (const auto* address : {"0000:01:00.0", "0000:02:01.0", "0000:03:00.0", "0000:04:00.0"})
        for (const auto* attribute :
             {"config", "current_link_width", "max_link_speed", "secondary_bus_number",
              "subordinate_bus_number", "resource2_resize", "sriov_numvfs"}) {
            INFO(address << " " << attribute);
            CHECK_FALSE(watched.has_read(address, attribute));
        }
    CHECK(watched.has_read("0000:00:02.0", "config")); // it is awake
    CHECK(machine.writes().empty());
    CHECK(machine.effects().empty());
}

TEST_CASE("a sleeping bridge keeps what is below it unread, its own D3hot does not", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    put_to_sleep(machine, "0000:03:00.0", "D3hot");
    const QuietReader one_asleep(machine);
    CHECK_FALSE(one_asleep.asleep(*parse_pci_address("0000:03:00.0")));
    CHECK(one_asleep.read_within("/sys/bus/pci/devices/0000:03:00.0/config", 64, Milliseconds(1)).done());
    put_to_sleep(machine, "0000:02:01.0", "D3hot");
    const QuietReader bridge_asleep(machine);
    CHECK(bridge_asleep.asleep(*parse_pci_address("0000:03:00.0")));
    CHECK_FALSE(bridge_asleep.asleep(*parse_pci_address("0000:04:00.0")));
    const auto refused =
        bridge_asleep.read_within("/sys/bus/pci/devices/0000:03:00.0/config", 64, Milliseconds(1));
    CHECK(refused.error_number == EHOSTDOWN);
    CHECK_FALSE(bridge_asleep.read("/sys/bus/pci/devices/0000:03:00.0/max_link_width"));
    CHECK(bridge_asleep.read("/sys/bus/pci/devices/0000:03:00.0/power_state"));
}

TEST_CASE("when Proxmox's files do not answer, the host and its cards are still looked at", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    machine.hang_read("/etc/pve/.members");
    const auto findings = findings_of(machine);
    CHECK(findings.front().name == "pve.cluster-fs");
    CHECK(count(findings, Verdict::ok) > 3);
}

TEST_CASE("each known message says where it is from, and its remedy has no place left open", "[check]")
{
    for (const auto& message : known_messages()) {
        INFO(message.name);
        CHECK_FALSE(message.source.empty());
        CHECK_FALSE(message.title.empty());
        CHECK_FALSE(message.patterns.empty());
        for (const auto cpu : {CpuVendor::intel, CpuVendor::amd, CpuVendor::other})
            CHECK(remedy_of(message, cpu, {101}, parse_pci_address("0000:03:00.0")).find('{') ==
                  std::string::npos);
        for (const auto& pattern : message.patterns) CHECK(pattern == lower(pattern));
    }
}

TEST_CASE("the installer warns of an IOMMU that is off with what check says, unless a parameter turns it on",
          "[check][install]")
{
    HostFacts host;
    host.kernel = "6.8.12-4-pve";
    host.cpu = CpuVendor::amd;
    const auto off = iommu_warnings(host);
    REQUIRE(off.size() == 1);
    CHECK(off.front().fact ==
          "/sys/class/iommu is empty: without an IOMMU no device can be passed to a guest");
    CHECK(off.front().remedy.find("'AMD-Vi'") != std::string::npos);
    CHECK(off.front().remedy.find("VT-d") == std::string::npos);
    host.cpu = CpuVendor::intel;
    host.kernel = "6.5.11-8-pve"; // the installation adds 'intel_iommu=on'
    CHECK(iommu_warnings(host).empty());
    host.running = {"intel_iommu=off"};
    CHECK(iommu_warnings(host).size() == 1);
    host.iommu_on = true;
    CHECK(iommu_warnings(host).empty()); // whether interrupts are remapped cannot be told
    host.interrupt_remapping = false;
    CHECK(iommu_warnings(host).size() == 1);
}

TEST_CASE("of the kernel's log only the kernel's own messages count", "[check]")
{
    const auto log = parse_kernel_log("6,1,0,-;Linux version\n SUBSYSTEM=pci\n DEVICE=+pci:0000:03:00.0\n"
                                      "30,2,5,-;systemd says: Code 43\nnot a record\n3,3,9,-;Code 43\n");
    CHECK(log.messages == 2);
    REQUIRE(log.known.size() == 1);
    CHECK(log.known.front().like.front()->name == "log.code-43");
}

TEST_CASE("modprobe.d, lists of modules and of processors are read as their programs read them", "[check]")
{
    const auto lines =
        parse_modprobe("# blacklist i915\nblacklist snd-hda-intel\n\nsoftdep xe pre: a vfio-pci post: b\n"
                       "options vfio-pci disable_vga=1 ids=10DE:2204:1043:8708,10de:1aef\n"
                       "install nouveau /bin/true\nblacklist bad/name\nsoftdep\nsoftdep x post: vfio-pci",
                       "f.conf");
    CHECK(is_blacklisted(lines, "snd_hda_intel"));
    CHECK(is_blacklisted(lines, "nouveau"));
    CHECK_FALSE(is_blacklisted(lines, "i915"));
    CHECK(waits_for_vfio(lines, "xe"));
    CHECK_FALSE(waits_for_vfio(lines, "x"));
    const auto ids = vfio_ids(lines);
    REQUIRE(ids.size() == 2);
    CHECK(ids[0].id == "10de:2204");
    CHECK(parse_module_list("# a\nvfio-pci ids=1\n\n b \n../x\n") ==
          std::vector<std::string>{"vfio_pci", "b"});
    CHECK(parse_cpu_list("0-2,8") == std::set<unsigned>{0, 1, 2, 8});
    CHECK(parse_cpu_list("x,3-,4-1,0-4294967295").size() == 8192);
}
