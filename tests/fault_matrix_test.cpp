// The cells of docs/faults.md that no emulated card can show: what the hook does, what the host is like then,
// and that a second start ends well. tests/faults collects the rows (PVEGPU_FAULTS names the file).
#include "catch.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machines.hpp"

#include <cstdio>
#include <cstdlib>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::string gpu = "0000:03:00.0";
const std::string audio = "0000:04:00.0";
const std::string config = "/sys/bus/pci/devices/0000:03:00.0/config";
constexpr std::size_t header_type = 0x0e;

struct FaultHost : FakeSystem {
    FaultHost() : FakeSystem("7.0.2-1-pve")
    {
        add_arc(*this, {.pciehp = true});
        add_guest(*this, 101, "hostpci0: 03:00\n");
    }

    Report start() { return run_phase(*this, {101, Phase::pre_start, ""}); }

    std::string differences() const
    {
        std::string text;
        const auto note = [&](bool differs, const std::string& what) {
            if (differs) text += (text.empty() ? "" : "; ") + what;
        };
        for (const auto& address : {gpu, audio}) {
            const auto driver = present(address) ? driver_of(address) : "";
            note(!present(address), address + ": gone");
            note(present(address) && driver != (address == gpu ? "i915" : "snd_hda_intel"),
                 address + ": driver " + (driver.empty() ? "none" : driver));
        }
        note(this->text("/sys/bus/pci/drivers_autoprobe") != "1", "drivers_autoprobe 0");
        note(!exists("/sys/bus/pci_express/drivers/pciehp/0000:00:1c.0:pcie004"), "pciehp off");
        note(exists("/run/pve-gpu-hook/journal/101.json"), "the rest is in the journal");
        return text.empty() ? "as before" : text;
    }
};

std::string name_of(RunOutcome outcome)
{
    switch (outcome) {
    case RunOutcome::recovered:
        return "recovered";
    case RunOutcome::warned:
        return "warned";
    case RunOutcome::refused:
        return "refused";
    case RunOutcome::failed:
        return "failed";
    case RunOutcome::nothing_to_do:
        break;
    }
    return "nothing to do";
}

std::string what_it_did(const Report& report)
{
    return report.plan.refused ? "refused: " + to_string(report.plan.refused->reason)
                               : name_of(report.outcome);
}

std::string end_of(const Report& report)
{
    return "exit " + std::to_string(report.exit_status());
}

// Rounded up to seconds of the fake machine's clock.
std::string seconds(Milliseconds time)
{
    return std::to_string(std::max<std::int64_t>(1, (time.count() + 999) / 1000)) + " s";
}

void print_row(const std::string& fault, const Report& first, const std::string& host, const Report& second)
{
    const char* const path = std::getenv("PVEGPU_FAULTS");
    if (path == nullptr) return;
    std::FILE* const file = std::fopen(path, "ae");
    REQUIRE(file != nullptr);
    std::fprintf(file, "FAULT | %s | the fake machine | %s | %s | %s | %s | not shown | %s, %s\n",
                 fault.c_str(), what_it_did(first).c_str(), end_of(first).c_str(),
                 seconds(first.elapsed).c_str(), host.c_str(), end_of(second).c_str(),
                 name_of(second.outcome).c_str());
    CHECK(std::fclose(file) == 0);
}

void lose_header(FaultHost& host)
{
    auto bytes = host.text(config);
    bytes[header_type] = '\x7f';
    host.file(config, bytes);
}

} // namespace

TEST_CASE("fault: configuration space reads all ones after every reset", "[fault][not-shown-on-a-kernel]")
{
    FaultHost host;
    host.function(gpu).comes_back_dead();
    const auto first = host.start();
    REQUIRE(first.plan.refused);
    CHECK(first.plan.refused->reason == ErrorKind::needs_power_cycle);
    CHECK(first.exit_status() == 1);
    CHECK(first.elapsed < 31s); // 'reappear', twice
    const auto after = host.differences();
    CHECK(after.find("journal") == std::string::npos);

    host.function(gpu) = {};
    const auto second = host.start();
    CHECK(second.exit_status() == 0);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    print_row("configuration space reads all ones after every reset", first, after, second);
}

TEST_CASE("a card that is dead as a whole, its switch too, is recovered and not left to Proxmox", "[fault]")
{
    FaultHost host;
    for (const auto* const address :
         {"0000:01:00.0", "0000:02:01.0", "0000:02:04.0", "0000:03:00.0", "0000:04:00.0"})
        host.dies(address);
    const auto report = host.start();
    CHECK_FALSE(host.said("the hook does not reset the card of"));
    const auto& cards = std::get<RecoveryPlan>(report.plan.plan).cards;
    REQUIRE(cards.size() == 1);
    CHECK(cards[0].card.port == parse_pci_address("0000:00:1c.0"));
    CHECK(report.exit_status() == 0);
    CHECK(host.driver_of(gpu) == "vfio-pci");
}

TEST_CASE("fault: the header type reads 7f after the bind", "[fault][not-shown-on-a-kernel]")
{
    FaultHost host;
    host.slow_write("/sys/bus/pci/drivers/vfio-pci/bind", 500ms);
    host.at(100ms, [&] { lose_header(host); });
    const auto first = host.start();
    CHECK(host.said("reads all ones; trying once more with the whole card removed"));
    CHECK(first.outcome == RunOutcome::warned);
    CHECK(first.exit_status() == 0);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    const auto after = host.differences();
    const auto second = host.start();
    CHECK(second.outcome == RunOutcome::recovered);
    print_row("header type reads 7f after the bind", first, after, second);
}

TEST_CASE("fault: the header type reads 7f in the rescan, and the kernel ignores the device",
          "[fault][not-shown-on-a-kernel]")
{
    FaultHost host;
    host.function(gpu).never_comes_back(); // "unknown header type 7f, ignoring device" (probe.c)
    const auto first = host.start();
    REQUIRE(first.plan.refused);
    CHECK(first.plan.refused->reason == ErrorKind::needs_power_cycle);
    CHECK(first.elapsed < 31s); // 'reappear', twice
    const auto after = host.differences();

    host.function(gpu) = {};
    const auto second = host.start();
    CHECK(second.exit_status() == 0);
    CHECK(host.driver_of(gpu) == "vfio-pci");
    print_row("header type reads 7f in the rescan", first, after, second);
}

TEST_CASE("a write that is refused is not waited for", "[fault]")
{
    for (const std::string refused :
         {"/sys/bus/pci/drivers/i915/unbind", "/sys/bus/pci/devices/0000:03:00.0/remove",
          "/sys/bus/pci/drivers/vfio-pci/bind"}) {
        FaultHost host;
        constexpr int always = 100;
        host.refuse_write(refused, EROFS, always);
        host.start();
        CHECK(host.elapsed() < 1s);
    }
}
