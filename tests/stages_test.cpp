// Several cards of one guest: which steps are done together, and what becomes of the others when one fails.
#include "base/lists.hpp"
#include "catch.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machine/forwarding_system.hpp"
#include "machines.hpp"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> gpus{"0000:06:00.0", "0000:07:00.0", "0000:08:00.0"};

std::string port_of(std::size_t card)
{
    return "0000:00:0" + std::to_string(card + 1) + ".0";
}

std::string reset_of(std::size_t card)
{
    return "/sys/bus/pci/devices/" + port_of(card) + "/reset_subordinate";
}

// Three cards in a slot each, all of them VM 101's.
struct Rack : FakeSystem {
    explicit Rack(const std::string& driver = "vfio-pci") : FakeSystem("7.0.2-1-pve")
    {
        with_vfio_cdev();
        std::string lines;
        for (std::size_t card = 0; card < gpus.size(); ++card) {
            const auto bus = static_cast<std::uint8_t>(6 + card);
            add_slot(*this, {.port = port_of(card), .bus = bus, .driver = driver, .group = 20 - card});
            lines += "hostpci" + std::to_string(card) + ": " + gpus[card].substr(0, 10) + "\n";
        }
        add_guest(*this, 101, lines);
    }

    Report start() { return run_phase(*this, {101, Phase::pre_start, ""}); }

    // In the order in which they were made, those whose line contains the text.
    std::vector<std::size_t> places(const std::string& part) const
    {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < effects().size(); ++i)
            if (effects()[i].find(part) != std::string::npos) found.push_back(i);
        return found;
    }
    std::size_t first(const std::string& part) const { return places(part).at(0); }
    std::size_t last(const std::string& part) const { return places(part).back(); }
    bool is_clean(std::size_t card) const
    {
        return driver_of(gpus[card]) == "vfio-pci" && resets(gpus[card]) == 1;
    }
};

} // namespace

TEST_CASE("a stage begins when it is over for every card before it", "[stages]")
{
    Rack rack("nouveau");
    CHECK(rack.start().exit_status() == 0);
    for (std::size_t card = 0; card < gpus.size(); ++card) CHECK(rack.is_clean(card));
    CHECK(rack.last("/unbind = ") < rack.first("/reset_subordinate = "));
    CHECK(rack.last("/reset_subordinate = ") < rack.first("/remove = "));
    CHECK(rack.last("/remove = ") < rack.first("/rescan = "));
    CHECK(rack.last("/rescan = ") < rack.first("/driver_override = "));
}

TEST_CASE("cards are found again in the order of their IOMMU groups", "[stages]")
{
    Rack rack;
    rack.start();
    CHECK(rack.first("0000:08/rescan") < rack.first("0000:07/rescan"));
    CHECK(rack.first("0000:07/rescan") < rack.first("0000:06/rescan"));
}

TEST_CASE("what a stage has to undo is written down once, before its first step", "[stages]")
{
    Rack rack("nouveau");
    std::string journal;
    rack.after_write("/sys/bus/pci/drivers/nouveau/unbind",
                     [&] { journal = rack.text("/run/pve-gpu-hook/journal/101.json"); });
    rack.start();
    for (const auto& gpu : gpus) CHECK(journal.find(gpu) != std::string::npos);
    const auto writes = rack.places("/journal/101.json").size();
    Rack more("nouveau");
    more.file("/etc/pve/qemu-server/101.conf", "hostpci0: 0000:06:00\n");
    more.start();
    CHECK(writes == more.places("/journal/101.json").size()); // as many as with one card
}

TEST_CASE("a card that does not come back leaves the others, and is tried again alone when they are ready",
          "[stages]")
{
    Rack rack;
    const auto lost = std::string("/sys/class/pci_bus/0000:07/rescan");
    rack.refuse_write(lost, EIO);
    const auto report = rack.start();
    CHECK(report.exit_status() == 0);
    for (std::size_t card = 0; card < gpus.size(); ++card) CHECK(rack.driver_of(gpus[card]) == "vfio-pci");
    CHECK(rack.resets(gpus[0]) == 1);
    CHECK(rack.resets(gpus[2]) == 1);
    CHECK(rack.said("trying once more with the whole card removed"));
    CHECK(rack.last("drivers/vfio-pci/bind = 0000:08:00.1") <
          rack.last("drivers/vfio-pci/bind = 0000:07:00.0"));
}

TEST_CASE("one write that never comes back ends the run; the other cards are put back where that is safe",
          "[stages]")
{
    Rack rack("nouveau");
    rack.hang_write(reset_of(1));
    const auto report = rack.start();
    CHECK(report.exit_status() == 1);
    CHECK(rack.said("write is stuck in the kernel"));
    CHECK(rack.resets(gpus[0]) == 1); // it was at it before
    CHECK(rack.places("/remove = ").empty());
    // Nothing of the PCI core is written behind a stuck write; the next start does it.
    const auto journal = nlohmann::json::parse(rack.text("/run/pve-gpu-hook/journal/101.json"));
    const auto holds = [&](const std::string& address) {
        return std::ranges::any_of(journal["undo"], [&](const nlohmann::json& undo) {
            return undo["text"].get<std::string>() == address;
        });
    };
    for (const auto& gpu : gpus) CHECK(holds(gpu));
}

TEST_CASE("the report tells each card's steps, and the log its times", "[stages]")
{
    Rack rack;
    rack.slow_write(reset_of(2), 3000ms);
    const auto report = rack.start();
    const auto json = nlohmann::json::parse(report_json(report));
    std::vector<std::string> cards;
    for (const auto& step : json["steps"])
        if (cards.empty() || cards.back() != step["card"].get<std::string>())
            cards.push_back(step["card"].get<std::string>());
    CHECK(cards == std::vector<std::string>{port_of(0), port_of(1), port_of(2)});
    CHECK(rack.said("card below '0000:00:03.0': wake 0 ms, unbind 0 ms, reset 3.0 s"));
    CHECK(rack.said("recovered 3 GPUs in 3.0 s"));
}

namespace {

// Counts walks through all processes' open files.
struct CountingSystem : ForwardingSystem {
    using ForwardingSystem::ForwardingSystem;
    std::vector<std::string> list(const std::string& path) const override
    {
        looks += path == "/proc/1/fd" ? 1 : 0;
        return ForwardingSystem::list(path);
    }
    mutable unsigned looks = 0;
};

} // namespace

TEST_CASE("however many cards, the open files of all processes are read three times at most", "[stages]")
{
    for (const auto* driver : {"vfio-pci", "nouveau"}) {
        Rack rack(driver);
        rack.add_process(1, "systemd", {{3, {"/dev/kmsg", DeviceNumber{1, 11, false}, ""}}});
        CountingSystem counting(rack);
        CHECK(run_phase(counting, {101, Phase::pre_start, ""}).exit_status() == 0);
        CHECK(counting.looks <= 3);
    }
}

TEST_CASE("who opens a card on vfio-pci after the last look is seen before it is unbound", "[stages]")
{
    for (const bool by_cdev : {false, true}) {
        Rack rack;
        for (const auto& gpu : gpus)
            rack.file("/sys/bus/pci/devices/" + gpu + "/driver_override", "vfio-pci\n");
        rack.after_write("/sys/bus/pci/drivers/vfio-pci/unbind", [&] {
            if (by_cdev)
                rack.open_vfio_cdev(gpus[2], 4712);
            else
                rack.open_vfio(gpus[2], 4712, "kvm", 102);
        });
        const auto report = rack.start();
        REQUIRE(report.plan.refused);
        CHECK(report.plan.refused->reason == ErrorKind::in_use);
        CHECK(rack.said("is in use by"));
        CHECK(rack.driver_of(gpus[2]) == "vfio-pci");
        CHECK(rack.places("/reset_subordinate = ").empty());
        CHECK(rack.driver_of(gpus[0]) == "vfio-pci"); // bound again
    }
}

TEST_CASE("who opens a card of the host's after the last look is told of", "[stages]")
{
    Rack rack("nouveau");
    rack.add_node(gpus[1], "drm/card1", "/dev/dri/card1", {226, 1});
    rack.after_write("/sys/bus/pci/drivers/nouveau/unbind", [&] {
        rack.add_process(900, "Xorg", {{5, {"/dev/dri/card1", DeviceNumber{226, 1}, ""}}});
    });
    CHECK(rack.start().exit_status() == 0);
    CHECK(rack.said("'0000:07:00.0' was opened by pid 900 (Xorg, '/dev/dri/card1')"));
}
