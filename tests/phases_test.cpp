#include "machine/forwarding_system.hpp"
// The life of a guest on the fake machine: started, seen, stopped, and all the ways in which a phase comes
// late, twice or never.
#include "catch.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machines.hpp"
#include "proxmox/vm_args.hpp"
#include "recovery/guest_state.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string gpu = "0000:03:00.0";
const std::string audio = "0000:04:00.0";
const std::string port_control = "/sys/bus/pci/devices/0000:00:1c.0/power/control";
const std::string port_d3cold = "/sys/bus/pci/devices/0000:00:1c.0/d3cold_allowed";
constexpr auto second = Milliseconds(1000);

struct Host : FakeSystem {
    Host() : FakeSystem("7.0.2-1-pve")
    {
        add_arc_for_vm_101(*this);
        file(port_control, "auto\n");
        file(port_d3cold, "1\n");
    }

    Report phase(Phase phase, unsigned vmid = 101) { return run_phase(*this, {vmid, phase, ""}); }
    void settings(const std::string& json) { file("/etc/pve-gpu-hook/settings.json", json); }
    void qemu_opens_it() { open_vfio(gpu, 4711, "kvm", 101); }
    void qemu_ends()
    {
        close_vfio(gpu);
        end_process(4711);
    }
    bool has_state() const { return exists("/run/pve-gpu-hook/state/101.json"); }
    std::size_t count(const std::string& write) const
    {
        return static_cast<std::size_t>(std::count(writes().begin(), writes().end(), write));
    }
};

} // namespace

TEST_CASE("after a start and a stop the card is on vfio-pci and the ports may sleep again", "[phases]")
{
    Host host;
    host.phase(Phase::pre_start);
    CHECK(host.text(port_control) == "on");
    CHECK(host.text(port_d3cold) == "0");
    host.qemu_opens_it();
    host.phase(Phase::post_start);
    host.phase(Phase::pre_stop);
    host.qemu_ends();
    const auto report = host.phase(Phase::post_stop);
    CHECK(report.exit_status() == 0);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    CHECK(host.text(port_control) == "auto");
    CHECK(host.text(port_d3cold) == "1");
    CHECK_FALSE(host.has_state());
}

TEST_CASE("with after_stop native the card is reset and goes back to the drivers it had", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    const auto report = host.phase(Phase::post_stop);
    CHECK(report.exit_status() == 0);
    CHECK(host.driver_of(gpu) == "i915");
    CHECK(host.driver_of(audio) == "snd_hda_intel");
    CHECK(host.resets(gpu) == 2); // at the start, and of what the guest has left
    CHECK(host.text("/sys/bus/pci/devices/0000:03:00.0/driver_override") == "(null)");
    CHECK(host.text(port_control) == "auto");
}

TEST_CASE("the native driver is remembered over starts whose stop never came", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.phase(Phase::pre_start);
    host.phase(Phase::post_stop);
    CHECK(host.driver_of(gpu) == "i915");
    CHECK(host.text(port_control) == "auto"); // as before the first start, not as the second one found it
}

TEST_CASE("a VM that is locked for a backup or resumed from disk gets its card as at any start", "[phases]")
{
    for (const auto* const lines : {"lock: backup\n", "lock: suspended\nvmstate: local:101/vm-101-state\n"}) {
        Host host;
        add_guest(host, 101, std::string(lines) + "hostpci0: 03:00\nhostpci1: 04:00\n");
        CHECK(host.phase(Phase::pre_start).outcome == RunOutcome::recovered);
    }
}

TEST_CASE("a stop without a start does nothing", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    for (const auto phase : {Phase::post_start, Phase::pre_stop, Phase::post_stop})
        CHECK(host.phase(phase).outcome == RunOutcome::nothing_to_do);
    CHECK(host.writes().empty());
}

TEST_CASE("a second stop does nothing", "[phases]")
{
    Host host;
    host.phase(Phase::pre_start);
    host.phase(Phase::post_stop);
    const auto writes = host.writes().size();
    CHECK(host.phase(Phase::post_stop).outcome == RunOutcome::nothing_to_do);
    CHECK(host.writes().size() == writes);
}

TEST_CASE("a stop that comes after the next start leaves the running guest alone", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.qemu_opens_it();
    const auto report = host.phase(Phase::post_stop);
    CHECK(report.outcome == RunOutcome::warned);
    CHECK(host.said("VM 101 (pid 4711, kvm) has it"));
    CHECK(host.driver_of(gpu) == "vfio-pci");
    CHECK(host.text(port_control) == "on");
    CHECK(host.has_state());
}

TEST_CASE("a stop leaves a card alone that another VM has by now", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.open_vfio(gpu, 4800, "kvm", 102);
    CHECK(host.phase(Phase::post_stop).outcome == RunOutcome::warned);
    CHECK(host.driver_of(gpu) == "vfio-pci");
}

TEST_CASE("where nothing is given back no program is asked, and whoever uses something else is no matter",
          "[phases]")
{
    Host host;
    host.add_function("", "0000:00:1f.6", network_card);
    host.set_group(4, {gpu, "0000:00:1f.6"});
    host.phase(Phase::pre_start);
    host.file("/sys/bus/pci/devices/0000:00:1f.6/net/eno1/flags", "0x1003\n");
    host.file("/proc/net/if_inet", "eno1\n");
    const auto before = host.effects().size();
    CHECK(host.phase(Phase::post_stop).exit_status() == 0);
    CHECK(host.text(port_control) == "auto");
    for (auto i = before; i < host.effects().size(); ++i)
        CHECK(host.effects()[i].find("systemctl") == std::string::npos);
}

TEST_CASE("while the host shuts down nothing is given back", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.answer_run("/usr/bin/systemctl is-system-running", 1, "stopping\n");
    host.phase(Phase::post_stop);
    CHECK(host.driver_of(gpu) == "vfio-pci");
}

TEST_CASE("the stop goes by what was started, not by the configuration", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    add_guest(host, 101, "memory: 512\n");
    host.phase(Phase::post_stop);
    CHECK(host.driver_of(gpu) == "i915");
}

TEST_CASE("another card in the slot is not given to the old one's driver", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.file("/sys/bus/pci/devices/0000:03:00.0/device", "0xffff\n");
    host.phase(Phase::post_stop);
    CHECK(host.driver_of(gpu) == "vfio-pci");
}

TEST_CASE("post-start only notes who has the card", "[phases]")
{
    Host host;
    host.phase(Phase::pre_start);
    CHECK(host.exists("/run/pve-gpu-hook/claims/101.json"));
    host.qemu_opens_it();
    const auto writes = host.writes().size();
    host.phase(Phase::post_start);
    CHECK(host.writes().size() == writes);
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/claims/101.json"));
    const auto state = read_guest_state(host, 101);
    REQUIRE(state);
    CHECK(state->holder == 4711);
    CHECK(state->holder_program == "kvm");
}

TEST_CASE("post-start warns when nobody has opened the card that was prepared", "[phases]")
{
    Host host;
    host.phase(Phase::pre_start);
    CHECK(host.phase(Phase::post_start).outcome == RunOutcome::warned);
    CHECK(host.said("QEMU has not opened the GPU"));
}

TEST_CASE("before the stop the card and its ports are woken again", "[phases]")
{
    Host host;
    host.phase(Phase::pre_start);
    host.file(port_control, "auto\n");
    host.phase(Phase::pre_stop);
    CHECK(host.text(port_control) == "on");
}

TEST_CASE("a port that another guest's card needs stays awake", "[phases]")
{
    Host host;
    host.add_bridge("", "0000:00:01.0", {.secondary_bus = 0x20});
    const std::string shared = "/sys/bus/pci/devices/0000:00:01.0/power/control";
    host.file(shared, "auto\n");
    host.add_bridge("0000:00:01.0", "0000:20:00.0", {.secondary_bus = 0x21});
    host.add_bridge("0000:20:00.0", "0000:21:00.0", {.secondary_bus = 0x22});
    host.add_bridge("0000:20:00.0", "0000:21:01.0", {.secondary_bus = 0x23});
    host.add_function("0000:21:00.0", "0000:22:00.0", nvidia_gpu);
    host.add_function("0000:21:01.0", "0000:23:00.0", nvidia_gpu);
    add_guest(host, 102, "hostpci0: 22:00\n");
    add_guest(host, 103, "hostpci0: 23:00\n");
    host.phase(Phase::pre_start, 102);
    host.phase(Phase::pre_start, 103);
    host.phase(Phase::post_stop, 102);
    CHECK(host.text(shared) == "on");
    host.phase(Phase::post_stop, 103);
    CHECK(host.text(shared) == "auto"); // as it was before either of them
}

TEST_CASE("a damaged note of the start is as if there were none", "[phases]")
{
    for (const auto* const text :
         {"", "{", "[]", R"({"vmid": "x"})", R"({"vmid":101,"functions":[{"address":"../x"}]})"})
        CHECK_FALSE(parse_guest_state(text));
    GuestState state;
    state.vmid = 101;
    state.holder = 4711;
    for (const auto* const number : {"1e37", "-4711", "4711.5", "99999999999"}) { // found by fuzz_guest_state
        auto text = print_guest_state(state);
        CHECK_FALSE(parse_guest_state(text.replace(text.find("4711"), 4, number)));
    }
}

TEST_CASE("a note of the start reads as it was written", "[phases]")
{
    GuestState state;
    state.vmid = 101;
    state.functions = {{*parse_pci_address(gpu), "8086:56a6", "i915", true}};
    state.power = {{port_control, "auto"}};
    state.console = {{"/sys/class/vtconsole/vtcon1/bind", "1"}};
    state.holder = 4711;
    state.holder_program = "kvm";
    CHECK(parse_guest_state(print_guest_state(state)) == state);
}

TEST_CASE("a note of the start cannot name a file outside /sys", "[phases]")
{
    GuestState state;
    state.power = {{"/etc/passwd", "x"}, {"/sys/../etc/passwd", "x"}};
    CHECK(parse_guest_state(print_guest_state(state))->power.empty());
}

TEST_CASE("at the stop only what concerns it is said, and once", "[phases]")
{
    Host host;
    host.settings(R"({"strategy": "remove-rescan", "after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.ignore_write("/sys/bus/pci/drivers_probe");
    const auto before = host.said().size();
    host.phase(Phase::post_stop);
    std::vector<std::string> said(host.said().begin() + static_cast<std::ptrdiff_t>(before),
                                  host.said().end());
    for (const auto& line : said) {
        CHECK(line.find("removing and rescanning only") == std::string::npos);
        CHECK(std::count(said.begin(), said.end(), line) == 1);
    }
    CHECK_FALSE(said.empty());
}

TEST_CASE("with after_stop native a card that was left alone at the start goes back too", "[phases]")
{
    Host host;
    host.settings(R"({"strategy": "auto", "after_stop": "native"})");
    for (const auto& address : {gpu, audio})
        host.file("/sys/bus/pci/devices/" + address + "/reset_method", "flr bus\n");
    REQUIRE(host.phase(Phase::pre_start).outcome == RunOutcome::nothing_to_do);
    for (const auto* const driver : {"i915", "snd_hda_intel"}) // as Proxmox does, when our part is over
        host.write("/sys/bus/pci/drivers/" + std::string(driver) + "/unbind",
                   std::string(driver) == "i915" ? gpu : audio, second);
    for (const auto& address : {gpu, audio}) {
        host.write("/sys/bus/pci/devices/" + address + "/driver_override", "vfio-pci", second);
        host.write("/sys/bus/pci/drivers/vfio-pci/bind", address, second);
    }
    REQUIRE(host.driver_of(gpu) == "vfio-pci");
    host.phase(Phase::post_stop);
    CHECK(host.driver_of(gpu) == "i915");
    CHECK(host.driver_of(audio) == "snd_hda_intel");
    CHECK_FALSE(host.has_state());
}

TEST_CASE("no phase succeeds for a guest that does not exist, and what is not known is null", "[phases]")
{
    Host host;
    for (const auto phase : {Phase::pre_start, Phase::post_start, Phase::pre_stop, Phase::post_stop}) {
        const auto report = host.phase(phase, 999);
        CHECK(report.exit_status() == 1);
        CHECK(report_json(report).find("\"guest\": null") != std::string::npos);
        CHECK(host.said("there is no guest 999 on this node"));
    }
}

namespace {

// Counts how often each file is opened.
class CountsReads : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;

    std::optional<std::string> read(const std::string& path) const override
    {
        ++reads_[path];
        return ForwardingSystem::read(path);
    }
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override
    {
        ++reads_[path];
        return ForwardingSystem::read_within(path, bytes, timeout);
    }
    unsigned reads_of(const std::string& path) const { return reads_[path]; }

private:
    mutable std::map<std::string, unsigned> reads_;
};

std::vector<std::string> words(const std::vector<StepReport>& steps)
{
    std::vector<std::string> result;
    for (const auto& step : steps) result.push_back(step.op + " " + step.target);
    return result;
}

} // namespace

TEST_CASE("a start reads the guest's file and the settings once", "[phases]")
{
    Host host;
    host.settings(R"({"retries": 1})");
    CountsReads counting(host);
    run_phase(counting, {.vmid = 101});
    CHECK(counting.reads_of("/etc/pve/qemu-server/101.conf") == 1);
    CHECK(counting.reads_of("/etc/pve-gpu-hook/settings.json") == 1);
}

TEST_CASE("a dry run of the stop prints what the stop does, and the stop reports it", "[phases]")
{
    for (const std::string after_stop : {"native", "keep"}) {
        Host host;
        host.settings(R"({"after_stop": ")" + after_stop + R"("})");
        host.phase(Phase::pre_start);
        const Request stop{.vmid = 101, .phase = Phase::post_stop};
        const auto planned = plan_phase(host, stop);
        const auto steps = words(planned.steps());
        const auto text = plan_text(planned);
        CHECK(text.starts_with(after_stop == "native" ? "wake 0000:03:00.0\n" : "set /sys/bus/pci/devices/"));
        CHECK(text.find("set " + port_control + "\n") != std::string::npos);
        CHECK((text.find("give-back 0000:03:00.0\n") != std::string::npos) == (after_stop == "native"));
        const auto report = host.phase(Phase::post_stop);
        CHECK(words(report.steps) == steps);
        CHECK(report.outcome == RunOutcome::recovered);
        CHECK(host.text(port_control) == "auto");
    }
}

TEST_CASE("a stop without notes has nothing to do, and says so", "[phases]")
{
    Host host;
    const auto planned = plan_phase(host, {.vmid = 101, .phase = Phase::post_stop});
    CHECK(plan_text(planned) == "nothing to do: post-stop has nothing to put back\n");
    CHECK(host.phase(Phase::post_stop).outcome == RunOutcome::nothing_to_do);
}

TEST_CASE("a dry run of the stop names who has the GPU by now", "[phases]")
{
    Host host;
    host.settings(R"({"after_stop": "native"})");
    host.phase(Phase::pre_start);
    host.qemu_opens_it();
    const auto planned = plan_phase(host, {.vmid = 101, .phase = Phase::post_stop});
    CHECK(planned.steps().empty());
    REQUIRE(planned.all_warnings().size() == 1);
    CHECK(planned.all_warnings().front().fact ==
          "the GPU stays as it is: VM 101 (pid 4711, kvm) has it by now");
}

// --- the guest's own reboots ---

namespace {

const std::string request_file = "/run/qemu-server/101.reboot";
const std::string start_of_reader = "run /usr/bin/systemctl start --no-block pve-gpu-hook-events@101.service";

void add_monitor(Host& host)
{
    add_guest(host, 101, "args: -cpu host " + std::string(monitor_words) + "\nhostpci0: 03:00\n");
}

std::size_t count_effects(const Host& host, const std::string& effect)
{
    return static_cast<std::size_t>(std::ranges::count(host.effects(), effect));
}

} // namespace

TEST_CASE("a stop is noted, and our request taken back, before anything else", "[phases][guest-reboots]")
{
    Host host;
    host.phase(Phase::pre_start);
    host.qemu_opens_it();
    host.phase(Phase::post_start);
    host.file(request_file, "pve-gpu-hook 4711 1000\n");
    const auto before = host.effects().size();
    host.phase(Phase::pre_stop);
    REQUIRE(host.effects().size() > before + 1);
    CHECK(host.effects()[before] == "replace /run/pve-gpu-hook/stops/101");
    CHECK(host.effects()[before + 1] == "remove file " + request_file);
    CHECK(host.text("/run/pve-gpu-hook/stops/101") == "4711 1000");
}

TEST_CASE("a stop of a guest without notes of ours is noted too, and Proxmox's own request stays",
          "[phases][guest-reboots]")
{
    Host host;
    host.add_process(4711, "kvm");
    host.file("/run/qemu-server/101.pid", "4711\n");
    host.file(request_file, "");
    CHECK(host.phase(Phase::pre_stop).outcome == RunOutcome::nothing_to_do);
    CHECK(host.exists("/run/pve-gpu-hook/stops/101"));
    CHECK(host.exists(request_file));
}

TEST_CASE("a note of a stop that cannot be written keeps nothing else from being done",
          "[phases][guest-reboots]")
{
    Host host;
    host.phase(Phase::pre_start);
    host.qemu_opens_it();
    host.refuse_write("/run/pve-gpu-hook/stops/101", ENOSPC);
    const auto report = host.phase(Phase::pre_stop);
    CHECK(report.exit_status() == 0);
    CHECK(host.said("/run/pve-gpu-hook/stops/101"));
}

TEST_CASE("the next start forgets the stop, and has the reader started where 'args' has our monitor",
          "[phases][guest-reboots]")
{
    Host host;
    add_monitor(host);
    host.file("/run/pve-gpu-hook/stops/101", "4000 1\n");
    host.phase(Phase::pre_start);
    CHECK_FALSE(host.exists("/run/pve-gpu-hook/stops/101"));
    CHECK(count_effects(host, start_of_reader) == 0);
    host.qemu_opens_it();
    host.phase(Phase::post_start);
    CHECK(count_effects(host, start_of_reader) == 1);
}

TEST_CASE("without our monitor no reader is started, and one that cannot be is told of",
          "[phases][guest-reboots]")
{
    Host without;
    without.phase(Phase::pre_start);
    without.phase(Phase::post_start);
    CHECK(count_effects(without, start_of_reader) == 0);
    Host host;
    add_monitor(host);
    host.answer_run(start_of_reader.substr(4), 5, "Unit not found.\n");
    host.phase(Phase::pre_start);
    host.qemu_opens_it();
    CHECK(host.phase(Phase::post_start).exit_status() == 0);
    CHECK(host.said("pve-gpu-hook-events@101.service"));
}
