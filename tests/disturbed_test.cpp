// What becomes of a start where somebody else works on the PCI bus beside it, where parts of the card are
// missing, and of what was set on its devices; on the fake machine. Real kernels: tests/lab.
#include "catch.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machine/forwarding_system.hpp"
#include "machines.hpp"
#include "planned.hpp"
#include "recovery/known_cards.hpp"

#include <algorithm>
#include <cerrno>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string gpu = "0000:03:00.0";
const std::string audio = "0000:04:00.0";
const std::string port = "0000:00:1c.0";
const std::string upstream = "0000:01:00.0";

std::string device(const std::string& address, const std::string& file)
{
    return "/sys/bus/pci/devices/" + address + "/" + file;
}

struct ArcHost : FakeSystem {
    explicit ArcHost(const std::string& kernel = "7.0.2-1-pve") : FakeSystem(kernel)
    {
        add_arc_for_vm_101(*this, {.pciehp = true});
    }

    Report phase(Phase phase) { return run_phase(*this, {101, phase, ""}); }
    Report start() { return phase(Phase::pre_start); }
    bool on_vfio() const { return driver_of(gpu) == "vfio-pci" && driver_of(audio) == "vfio-pci"; }
};

struct SlotHost : FakeSystem {
    explicit SlotHost(const std::string& lines) : FakeSystem("7.0.2-1-pve")
    {
        add_slot(*this);
        add_guest(*this, 101, lines);
        add_process(parent_pid(), "task UPID:pve1:");
    }

    Report phase(Phase phase) { return run_phase(*this, {101, phase, ""}); }
    Report start() { return phase(Phase::pre_start); }
};

} // namespace

TEST_CASE("a reset bit that somebody left set is cleared before anything is done", "[disturbed]")
{
    ArcHost host;
    host.set_reset_bit(port);
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.on_vfio());
    CHECK_FALSE(host.reset_bit(port));
    CHECK(host.said("held its card in reset"));
    CHECK(host.elapsed() < 1s);
}

TEST_CASE("a reset bit that a rescan beside the reset left set is cleared", "[disturbed]")
{
    ArcHost host;
    host.after_write(device(port, "reset_subordinate"), [&] { host.set_reset_bit(port); });
    CHECK(host.start().exit_status() == 0);
    CHECK(host.on_vfio());
    CHECK_FALSE(host.reset_bit(port));
}

TEST_CASE("a reset bit is left to whoever is at work there", "[disturbed]")
{
    ArcHost host;
    host.after_write(device(port, "reset_subordinate"), [&] {
        host.set_reset_bit(port);
        host.add_process(4711, "sh");
        host.set_task_state(4711, 'D', "msleep",
                            "[<0>] msleep+0x1a/0x30\n[<0>] pci_reset_secondary_bus+0x3e/0x50\n"
                            "[<0>] reset_subordinate_store+0x5c/0x90\n");
        host.at(20ms, [&] { host.end_process(4711); });
    });
    host.start();
    const auto& writes = host.writes();
    CHECK(std::count(writes.begin(), writes.end(),
                     device(port, "config") + " = end of a secondary bus reset") <= 1);
}

TEST_CASE("a switch that has lost its numbers in the reset is removed and found again as a whole",
          "[disturbed]")
{
    ArcHost host;
    host.after_write(device(port, "reset_subordinate"), [&] { host.loses_bus_numbers(upstream); });
    CHECK(host.start().exit_status() == 0);
    CHECK(host.on_vfio());
    CHECK(host.said("bridge '0000:01:00.0' on the card has lost its bus numbers "
                    "(02 02 instead of 02 04)"));
    CHECK(host.elapsed() < 12s);
}

TEST_CASE("attempts that others undo go on within the time of the whole run", "[disturbed]")
{
    ArcHost host;
    constexpr int often = 5;
    host.after_write(
        device(port, "reset_subordinate"),
        [&] {
            if (host.present(upstream)) return host.loses_bus_numbers(upstream);
            host.tree().set_file("/sys/nobody",
                                 ""); // the whole card is off: somebody finds it again before the reset's end
        },
        often);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.on_vfio());
}

TEST_CASE("a switch without its numbers at the start is removed as a whole at once", "[disturbed]")
{
    ArcHost host;
    host.loses_bus_numbers(upstream);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.on_vfio());
    CHECK(host.elapsed() < 12s);
}

TEST_CASE("the card of the last good start is found again when its switch has lost its numbers",
          "[disturbed]")
{
    ArcHost host;
    REQUIRE(host.start().exit_status() == 0);
    host.falls_off_the_bus(gpu);
    host.falls_off_the_bus(audio);
    host.loses_bus_numbers(upstream);
    CHECK(host.start().exit_status() == 0);
    CHECK(host.on_vfio());
    CHECK(host.said("configured GPU missing; looking for the whole card below port '0000:00:1c.0'"));
}

TEST_CASE("a switch that nobody knows is left alone and its port named", "[disturbed]")
{
    ArcHost host;
    host.falls_off_the_bus(gpu);
    host.falls_off_the_bus(audio);
    host.loses_bus_numbers(upstream);
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.present(upstream));
    CHECK(host.said("below port '0000:00:1c.0'"));
    CHECK(
        host.said("nobody knows whether the switch '0000:01:00.0' is on the graphics card or on the board"));
}

TEST_CASE("the last good start's card is left alone where somebody holds a part of it", "[disturbed]")
{
    ArcHost host;
    REQUIRE(host.start().exit_status() == 0);
    host.falls_off_the_bus(gpu);
    host.open_vfio(audio, 5000, "kvm", 102);
    host.loses_bus_numbers(upstream);
    const auto report = host.start();
    CHECK(report.exit_status() == 1);
    CHECK(host.present(audio));
    CHECK(host.present(upstream));
}

TEST_CASE("a function of the slot that was missing is the card's when it is back", "[disturbed]")
{
    SlotHost host("hostpci0: 06:00\n");
    host.falls_off_the_bus("0000:06:00.1");
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.driver_of("0000:06:00.0") == "vfio-pci");
    CHECK(host.driver_of("0000:06:00.1") == "vfio-pci");
    CHECK_FALSE(host.said("reboot the host"));
    // The stop knows of it, too.
    CHECK(host.text("/run/pve-gpu-hook/state/101.json").find("0000:06:00.1") != std::string::npos);
}

TEST_CASE("a function that a line of its own names is found beside its GPU", "[disturbed]")
{
    for (const auto* const missing : {"0000:06:00.0", "0000:06:00.1"}) {
        SlotHost host("hostpci0: 06:00.0\nhostpci1: 06:00.1\n");
        host.falls_off_the_bus(missing);
        CHECK(host.start().exit_status() == 0);
        CHECK(host.driver_of("0000:06:00.0") == "vfio-pci");
        CHECK(host.driver_of("0000:06:00.1") == "vfio-pci");
    }
}

TEST_CASE("a reset that was done, and that the kernel did not wait for, is no refusal", "[disturbed]")
{
    ArcHost host;
    host.refuse_write(device(port, "reset_subordinate"), ENOTTY);
    host.slow_write(device(port, "reset_subordinate"), 120ms);
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.said("recovered the GPU in"));
    CHECK_FALSE(host.said("refuses to reset it"));
}

TEST_CASE("a reset that the kernel refuses as busy, with nobody at work, is a reset that is refused",
          "[disturbed]")
{
    ArcHost host;
    host.refuse_write(device(port, "reset_subordinate"), EBUSY, 100);
    const auto report = host.start();
    CHECK(report.exit_status() == 0);
    CHECK(host.said("the kernel refuses to reset it"));
    CHECK(host.elapsed() < 5s);
}

TEST_CASE("a card that comes back without memory gets it when its port is found anew", "[disturbed]")
{
    for (const auto* const kernel : {"6.12.117-1-pve", "7.0.2-1-pve"}) {
        ArcHost host(kernel);
        host.spend_windows();
        const auto report = host.start();
        CHECK(report.exit_status() == 0);
        CHECK(host.on_vfio());
        CHECK(
            host.said("'0000:03:00.0' has no memory for BAR 0; trying once more with the port above the card "
                      "removed"));
        CHECK(host.driver_of(port) == "pcieport");
        CHECK(host.driver_of(upstream) == "pcieport");
        CHECK_FALSE(host.exists("/run/pve-gpu-hook/journal/101.json"));
        CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
    }
}

TEST_CASE("a bridge above the card that has lost its numbers is waited for, and not touched", "[disturbed]")
{
    ArcHost host;
    host.loses_bus_numbers(port);
    const auto report = host.start();
    CHECK(report.outcome == RunOutcome::refused);
    CHECK(host.said("bridge '0000:00:1c.0' above the card has lost its bus numbers (01 01 instead of 01 04), "
                    "so nothing below it "
                    "can be reached"));
    CHECK(host.writes().empty());
}

// What somebody else's rescan brings while the situation is read.
class ComesMeanwhile : public ForwardingSystem {
public:
    ComesMeanwhile(System& inner, std::string name) : ForwardingSystem(inner), name_(std::move(name)) {}

    std::vector<std::string> list(const std::string& path) const override
    {
        auto names = ForwardingSystem::list(path);
        if (path == "/sys/bus/pci/devices" && !std::exchange(listed_, true)) std::erase(names, name_);
        return names;
    }

private:
    std::string name_;
    mutable bool listed_ = false;
};

TEST_CASE("a function that is found while all is read is there", "[disturbed]")
{
    ArcHost host;
    ComesMeanwhile changing(host, gpu);
    const auto vm_facts = vm_facts_of(changing);
    CHECK(missing_functions(vm_facts.devices).empty());
    REQUIRE(vm_facts.cards.size() == 1);
    CHECK(vm_facts.cards.front().has(parse_pci_address(gpu).value()));
}

TEST_CASE("what was set on a device is as before when its card was removed and found again", "[disturbed]")
{
    ArcHost host;
    host.file(device(gpu, "msi_bus"), "0\n");
    host.file(device(gpu, "numa_node"), "1\n");
    host.file(device(gpu, "link/l1_aspm"), "0\n");
    host.file(device(gpu, "reset_method"), "\n");
    REQUIRE(host.start().exit_status() == 0);
    CHECK(host.text(device(gpu, "reset_method")).empty());
    const auto& writes = host.writes();
    CHECK(std::find(writes.begin(), writes.end(), device(gpu, "reset_method") + " = ") != writes.end());
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/journal/101.json"));
}

TEST_CASE("what was chosen for a link is written again where its switch would say so either way",
          "[disturbed]")
{
    const auto l1 = device(gpu, "link/l1_aspm");
    for (const auto& [policy, written] : {std::pair{"default performance [powersave] powersupersave", 1},
                                          {"default performance powersave [powersupersave]", 1},
                                          {"[default] performance powersave powersupersave", 0}}) {
        ArcHost host;
        host.file("/sys/module/pcie_aspm/parameters/policy", std::string(policy) + '\n');
        host.file(l1, "0\n");
        REQUIRE(host.start().exit_status() == 0);
        CHECK(std::ranges::count(host.writes(), l1 + " = 0") == written);
        // Found out while the driver had let go of it, and not left enabled: that would be taken for a guest
        // that runs.
        CHECK(host.text(device(gpu, "enable")) == "0");
        CHECK_FALSE(host.exists("/run/pve-gpu-hook/journal/101.json"));
    }
}

TEST_CASE("a card whose own reset is harmful is given to the guest with another one, and back as it was",
          "[disturbed]")
{
    FakeSystem host("7.0.2-1-pve");
    auto gpu_facts = nvidia_gpu;
    gpu_facts.device = 0x2b85;
    gpu_facts.reset_methods = {"flr", "bus"};
    host.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
    host.add_function("0000:00:01.0", "0000:06:00.0", gpu_facts);
    add_guest(host, 101, "hostpci0: 06:00\n");
    host.add_process(host.parent_pid(), "task UPID:pve1:");
    REQUIRE(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 0);
    CHECK(host.text(device("0000:06:00.0", "reset_method")) == "bus");
    REQUIRE(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 0); // its stop never came
    CHECK(host.text(device("0000:06:00.0", "reset_method")) == "bus");
    REQUIRE(run_phase(host, {101, Phase::post_stop, ""}).exit_status() == 0);
    CHECK(host.text(device("0000:06:00.0", "reset_method")) == "flr bus");
}

TEST_CASE(
    "where the kernel offers no reset of the bus, a harmful one is turned off, and who is left out is named",
    "[disturbed]")
{
    FakeSystem host("7.0.2-1-pve");
    auto gpu_facts = nvidia_gpu;
    gpu_facts.device = 0x2b85;
    gpu_facts.reset_methods = {"flr", "bus"};
    host.add_driver("snd_hda_intel", {"10de:1aef"});
    host.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x06});
    host.add_function("0000:00:01.0", "0000:06:00.0", gpu_facts);
    host.add_function("0000:00:01.0", "0000:06:00.1", nvidia_audio);
    add_guest(host, 101, "hostpci0: 06:00.0\n");
    host.add_process(host.parent_pid(), "task UPID:pve1:");
    REQUIRE(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 0);
    CHECK(host.text(device("0000:06:00.0", "reset_method")).empty());
    CHECK(host.said("only together with '0000:06:00.1', which the guest does not have"));
    REQUIRE(run_phase(host, {101, Phase::post_stop, ""}).exit_status() == 0);
    CHECK(host.text(device("0000:06:00.0", "reset_method")) == "flr"); // nor does it take "bus" back
}

TEST_CASE("the settings choose what resets the GPU while a guest has it", "[disturbed]")
{
    ArcHost host;
    host.file("/etc/pve-gpu-hook/settings.json", R"({"devices": {"8086:56a6": {"reset_method": "none"}}})");
    REQUIRE(host.start().exit_status() == 0);
    CHECK(host.text(device(gpu, "reset_method")).empty());
}

TEST_CASE("a damaged note of a card is none", "[disturbed]")
{
    CHECK_FALSE(parse_known_card("{"));
    CHECK_FALSE(parse_known_card(R"({"port":"../..","top":[],"functions":[]})"));
    const KnownCard card{
        *parse_pci_address("0000:00:1c.0"), {*parse_pci_address("0000:01:00.0")}, {*parse_pci_address(gpu)}};
    CHECK(parse_known_card(print_known_card(card)) == card);
}
