// What a card is compared with after it has come back: each difference, and whether it keeps the guest from
// starting.
#include "catch.hpp"
#include "has.hpp"
#include "recovery/verify.hpp"

#include <algorithm>
#include <functional>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr std::uint64_t mebibyte = 1U << 20U;
const PciAddress gpu{0, 3, 0, 0};
const PciAddress audio{0, 3, 0, 1};
const PciAddress foreign{0, 5, 0, 0};
const PciAddress port{0, 0, 0x1c, 0};

ConfigSpace answering(std::uint8_t memory_bars)
{
    ConfigSpace config;
    config.health = Health::alive;
    config.memory_bars = memory_bars;
    return config;
}

// A GPU with a memory BAR 0 and I/O ports in BAR 5, bound to vfio-pci.
Function good()
{
    Function function;
    function.address = gpu;
    function.vendor = 0x10de;
    function.device = 0x2204;
    function.subsystem_vendor = 0x10de;
    function.subsystem_device = 0x1467;
    function.class_code = 0x030000;
    function.driver = "vfio-pci";
    function.iommu_group = 14;
    function.group_members = {gpu, audio};
    function.bars = {{0, 0xa0000000, 256 * mebibyte, true, false}, {5, 0xf000, 128, true, true}};
    function.config = answering(0b1);
    return function;
}

CardPlan card()
{
    CardPlan plan;
    plan.card.port = port;
    plan.card.functions = {gpu, audio};
    return plan;
}

using Findings = std::vector<std::string>; // "fatal: text"

std::string as_text(const Difference& finding)
{
    return (finding.fatal ? "fatal: " : "warning: ") + to_string(finding.advice);
}

Findings compared(const Function& before, const std::optional<Function>& now, bool goes_to_guest = true)
{
    Findings result;
    for (const auto& finding : compare(card(), {before, Role::gpu, "hostpci0", goes_to_guest, true}, now))
        result.push_back(as_text(finding));
    return result;
}

// The one finding about a GPU that came back as `change` makes it.
std::string only(const std::function<void(Function&)>& change, bool goes_to_guest = true)
{
    auto now = good();
    change(now);
    const auto findings = compared(good(), now, goes_to_guest);
    CAPTURE(findings);
    REQUIRE(findings.size() == 1);
    return findings.front();
}

} // namespace

TEST_CASE("a function that is as it was gives no finding", "[verify]")
{
    CHECK(compared(good(), good()).empty());
    auto without_group = good();
    without_group.iommu_group.reset();
    CHECK(compared(without_group, without_group).empty());
}

TEST_CASE("a function that is not there is fatal, and nothing else is said of it", "[verify]")
{
    CHECK(compared(good(), std::nullopt) ==
          Findings{"fatal: '0000:03:00.0' did not come back; switch the host off and on"});
}

TEST_CASE("another device, or another board of its kind, is fatal", "[verify]")
{
    const auto device = only([](Function& now) { now.device = 0x2206; });
    CHECK(
        device.starts_with("fatal: '0000:03:00.0' came back as 10de:2206 (10de:1467) instead of 10de:2204"));
    const auto board = only([](Function& now) { now.subsystem_device = 0x1468; });
    CHECK(board.starts_with("fatal: '0000:03:00.0' came back as 10de:2204 (10de:1468)"));
}

TEST_CASE("a function that does not answer is fatal", "[verify]")
{
    const auto unread = only([](Function& now) { now.config.reset(); });
    CHECK(has(unread, "fatal: '0000:03:00.0' does not let its configuration space be read"));
    for (const auto health : {Health::dead, Health::not_ready})
        CHECK(has(only([&](Function& now) {
                      now.config = answering(0b10); // what such registers say of BARs is nothing
                      now.config->health = health;
                  }),
                  "power-cycle the host"));
}

TEST_CASE("a memory BAR without memory is fatal, I/O ports that are gone are not", "[verify]")
{
    const auto lost = [](const Findings& findings, const std::string& text) {
        return std::any_of(findings.begin(), findings.end(), [&](const auto& one) { return has(one, text); });
    };
    auto now = good();
    now.bars[0].assigned = false;
    CHECK(lost(compared(good(), now), "fatal: '0000:03:00.0' has no memory for BAR 0"));
    now.bars.erase(now.bars.begin());
    CHECK(lost(compared(good(), now), "fatal: '0000:03:00.0' has no memory for BAR 0"));
    CHECK(lost(compared(good(), now), "fatal: '0000:03:00.0' has no memory at all"));
    for (const bool gone : {true, false}) {
        const auto ports = only([&](Function& after) {
            if (gone)
                after.bars.pop_back();
            else
                after.bars.back().assigned = false;
        });
        CHECK(ports.starts_with("warning: '0000:03:00.0' has lost the I/O ports of BAR 5"));
    }
}

TEST_CASE("a BAR that had no memory before is not missed", "[verify]")
{
    auto before = good();
    before.bars.push_back({2, 0, 4096, false, false});
    CHECK(compared(before, good()).empty());
}

TEST_CASE("a BAR that the register shows and the kernel does not is fatal, whichever it is", "[verify]")
{
    for (unsigned index = 1; index < 5; ++index) {
        const auto finding =
            only([&](Function& now) { now.config = answering(static_cast<std::uint8_t>(1U | 1U << index)); });
        CHECK(finding.starts_with("fatal: '0000:03:00.0' has no memory for BAR " + std::to_string(index)));
    }
    const auto unassigned = only([](Function& now) {
        now.config = answering(0b101);
        now.bars.push_back({2, 0, 4096, false, false});
    });
    CHECK(has(unassigned, "has no memory for BAR 2"));
    auto first = good();
    first.bars = {{1, 0xa0000000, mebibyte, true, false}};
    first.config = answering(0b10);
    auto now = first;
    now.config = answering(0b11);
    CHECK(has(compared(first, now).at(0), "has no memory for BAR 0"));
}

TEST_CASE("registers beyond the six of BARs are none", "[verify]")
{
    auto now = good();
    now.config = answering(0b1000001);
    CHECK(compared(good(), now).empty());
}

TEST_CASE("a function with nothing but I/O ports has no memory", "[verify]")
{
    auto before = good();
    before.bars.erase(before.bars.begin());
    before.config = answering(0);
    CHECK(has(compared(before, before).at(0), "has no memory at all"));
    auto neighbour = before;
    neighbour.class_code = 0x020000; // such a device may have none
    CHECK(compared(neighbour, neighbour).empty());
}

TEST_CASE("a smaller BAR is a warning with both sizes, a larger one is nothing", "[verify]")
{
    CHECK(only([](Function& now) { now.bars[0].size = 16 * mebibyte; }) ==
          "warning: '0000:03:00.0' BAR 0 is 16 MiB instead of 256 MiB; the guest may run slower until the "
          "host is rebooted");
    auto larger = good();
    larger.bars[0].size = 512 * mebibyte;
    CHECK(compared(good(), larger).empty());
}

TEST_CASE("a group that came apart is told of once for the whole card", "[verify]")
{
    const PciAddress usb{0, 3, 0, 2};
    auto first = good();
    first.group_members = {gpu, audio, usb};
    auto alone = first;
    alone.group_members = {gpu};
    CHECK(compared(first, alone) ==
          Findings{
              "warning: '0000:03:00.0' no longer shares its IOMMU group with '0000:03:00.1', '0000:03:00.2'; "
              "QEMU resets their bus only for a guest that has both: pass it all of the card (hostpci), or "
              "reboot "
              "the host"});
    first.address = audio;
    alone = first;
    alone.group_members = {audio};
    CHECK(compared(first, alone).empty());
}

TEST_CASE("a foreign function in the group is fatal, one of the card's own or a lost one is not", "[verify]")
{
    CHECK(has(only([](Function& now) { now.group_members.push_back(foreign); }),
              "fatal: '0000:03:00.0' is now in one IOMMU group with '0000:05:00.0'"));
    CHECK(
        only([](Function& now) { now.group_members = {gpu}; }) ==
        "warning: '0000:03:00.0' no longer shares its IOMMU group with '0000:03:00.1'; QEMU resets their bus "
        "only for a guest that has both: pass it all of the card (hostpci), or reboot the host");
    auto alone = good();
    alone.group_members = {gpu};
    CHECK(compared(alone, good()).empty()); // the audio function is on the card
    auto shared = good();
    shared.group_members.push_back(foreign); // as it was before
    CHECK(compared(shared, shared).empty());
    auto plan = card();
    plan.card.switches = {foreign};
    auto with_switch = good();
    with_switch.group_members.push_back(foreign);
    CHECK(compare(plan, {good(), Role::gpu, "hostpci0", true, true}, with_switch).empty());
    CHECK(has(only([](Function& now) { now.iommu_group.reset(); }),
              "fatal: '0000:03:00.0' has no IOMMU group"));
}

TEST_CASE("another driver is fatal where the guest gets the function, and nothing elsewhere", "[verify]")
{
    CHECK(has(only([](Function& now) { now.driver = "nouveau"; }),
              "fatal: '0000:03:00.0' is bound to 'nouveau'"));
    auto now = good();
    now.driver = "nouveau";
    CHECK(compared(good(), now, false).empty());
}

TEST_CASE("what the guest does not get is never fatal", "[verify]")
{
    const auto lost = compared(good(), std::nullopt, false);
    CHECK(lost ==
          Findings{"warning: '0000:03:00.0' did not come back; the host has it again after a reboot"});
}

TEST_CASE("a narrower link is a warning, an equal or unknown one is nothing", "[verify]")
{
    const auto lanes = [](unsigned width) {
        ConfigSpace config;
        config.link_width = width;
        return config;
    };
    const auto narrower = compare_link(port, lanes(16), lanes(1));
    REQUIRE(narrower);
    CHECK(
        as_text(*narrower).starts_with("warning: the link of port '0000:00:1c.0' has 1 lanes instead of 16"));
    REQUIRE(compare_link(port, lanes(1), lanes(0)));
    CHECK_FALSE(compare_link(port, lanes(16), lanes(16)));
    CHECK_FALSE(compare_link(port, lanes(1), lanes(16)));
    CHECK_FALSE(compare_link(port, lanes(0), lanes(0)));
    CHECK_FALSE(compare_link(port, std::nullopt, lanes(1)));
    CHECK_FALSE(compare_link(port, lanes(255), std::nullopt)); // nothing that is read by mistake is wider
}

namespace {

// A guest whose hostpci0 is a mapping with that group for GPU and audio.
RecoveryPlan mapped(std::optional<unsigned> group)
{
    MappedDevice device;
    device.iommu_group = group;
    MappingChoice alternative;
    alternative.functions = {gpu, audio};
    alternative.mapped = device;
    RecoveryPlan plan;
    PassedDevice unmapped{"hostpci1", std::nullopt, std::nullopt, false, {MappingChoice{}}, 0};
    plan.devices = {unmapped, {"hostpci0", "main", std::nullopt, false, {alternative}, 0}};
    return plan;
}

} // namespace

TEST_CASE("a mapping's group that is another by now is fatal for its first function", "[verify]")
{
    const auto changed = compare_mapping(mapped(13), good());
    REQUIRE(changed);
    CHECK(as_text(*changed) ==
          "fatal: '0000:03:00.0' is now in IOMMU group 14, and the mapping 'main' says 13; correct it under "
          "Datacenter > Resource Mappings, then start the guest again");
    auto without = good();
    without.iommu_group.reset();
    const auto lost = compare_mapping(mapped(13), without);
    REQUIRE(lost);
    CHECK(has(lost->advice.fact, "is now in IOMMU group none"));
}

TEST_CASE("a mapping with the right group, without one, or of another function says nothing", "[verify]")
{
    CHECK_FALSE(compare_mapping(mapped(14), good()));
    CHECK_FALSE(compare_mapping(mapped(std::nullopt), good()));
    auto second = good();
    second.address = audio;
    CHECK_FALSE(compare_mapping(mapped(13), second)); // Proxmox compares the first function's only
    auto unmapped = mapped(13);
    unmapped.devices[1].alternatives[0].mapped.reset();
    CHECK_FALSE(compare_mapping(unmapped, good()));
    auto empty = mapped(13);
    empty.devices[1].alternatives[0].functions.clear();
    CHECK_FALSE(compare_mapping(empty, good()));
}
