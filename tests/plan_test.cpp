// Single decisions of the plan, each on the smallest machine that tells them apart. Whole plans are in
// tests/hosts.
#include "catch.hpp"
#include "machines.hpp"
#include "planned.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/vm_facts.hpp"

#include <algorithm>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const PciAddress gpu{0, 6, 0, 0};
const PciAddress audio{0, 6, 0, 1};
const PciAddress disk_address{0, 8, 0, 0};

const std::string both = "hostpci0: 06:00\n";

// A card with two functions in a slot, and a disk of the guest's beside it.
struct Host : FakeSystem {
    Host() : FakeSystem("6.14.8-2-pve") {}

    void add_card(const FunctionFacts& first = nvidia_gpu, const FunctionFacts& second = nvidia_audio,
                  const BridgeFacts& port = {.secondary_bus = 0x06})
    {
        add_bridge("", "0000:00:01.0", port);
        add_function("0000:00:01.0", "0000:06:00.0", first);
        add_function("0000:00:01.0", "0000:06:00.1", second);
    }
    void add_disk()
    {
        add_bridge("", "0000:00:1d.0", {.secondary_bus = 0x08});
        add_function("0000:00:1d.0", "0000:08:00.0", disk);
    }
    VmFacts vm_facts(const std::string& guest)
    {
        add_guest(*this, 101, guest);
        return vm_facts_of(*this);
    }
};

SettingsFile settings(const std::string& text)
{
    return SettingsFile::parse(text, "settings.json");
}

RecoveryPlan plan_of(const VmFacts& vm_facts, const std::string& text = "{}")
{
    return make_plan(vm_facts, settings(text));
}

Holder holder(Holder::Kind kind, const PciAddress& function)
{
    return {kind, function, {}, 812, "plex", "x"};
}

using Names = std::vector<std::string>;

FunctionFacts with_methods(FunctionFacts facts, std::vector<std::string> methods)
{
    facts.reset_methods = std::move(methods);
    return facts;
}

FunctionFacts unsafe_gpu(std::vector<std::string> methods)
{
    return {.vendor = 0x1002,
            .device = 0x67df,
            .class_code = 0x030000,
            .driver = "amdgpu",
            .reset_methods = std::move(methods)};
}

const BridgeFacts old_port{.secondary_bus = 0x06, .reset_subordinate = false};

} // namespace

TEST_CASE("a USB device stops a start only where the guest did not name its controller", "[plan]")
{
    Host host;
    host.add_card(nvidia_gpu, usb_controller);
    for (const bool named : {true, false}) {
        auto vm_facts = host.vm_facts(named ? both : "hostpci0: 06:00.0\n");
        vm_facts.taken.insert(audio); // as of one group
        vm_facts.holders = {holder(Holder::Kind::usb, audio)};
        CHECK(plan_of(vm_facts).refused.has_value() != named);
    }
}

TEST_CASE("a process stops a start only on the card, or where the guest did not name the device", "[plan]")
{
    Host host;
    host.add_card();
    host.add_disk();
    auto vm_facts = host.vm_facts(both + "hostpci1: 08:00\n");
    CHECK_FALSE(plan_of(vm_facts).refused);
    vm_facts.holders = {holder(Holder::Kind::process, disk_address)}; // Proxmox asks its driver to let go
    CHECK_FALSE(plan_of(vm_facts).refused);
    vm_facts.holders = {holder(Holder::Kind::mount, disk_address)};
    CHECK(plan_of(vm_facts).refused);
    vm_facts.holders = {holder(Holder::Kind::process, gpu)};
    CHECK(plan_of(vm_facts).refused);
    auto unnamed = host.vm_facts(both);
    unnamed.taken.insert(disk_address);
    unnamed.holders = {holder(Holder::Kind::process, disk_address)};
    CHECK(plan_of(unnamed).refused);
}

TEST_CASE("the settings of a card are those of its GPU, whichever function that is", "[plan]")
{
    Host host;
    host.add_card(nvidia_audio, with_methods(nvidia_gpu, {"bus"}));
    const auto plan = plan_of(host.vm_facts(both), R"({"devices": {"10de:2204": {"retries": 7}}})");
    CHECK(plan.cards.at(0).settings.retries == 7);
}

TEST_CASE("with strategy auto a card without FLR is cycled", "[plan]")
{
    Host host;
    host.add_card();
    CHECK_FALSE(plan_of(host.vm_facts(both), R"({"strategy": "auto"})").cards.at(0).steps.empty());
}

TEST_CASE("a busy companion of a card that is left alone is no matter", "[plan]")
{
    Host host;
    host.add_card(with_methods(nvidia_gpu, {"flr", "bus"}));
    auto vm_facts = host.vm_facts("hostpci0: 06:00.0\n");
    vm_facts.taken = {gpu};
    vm_facts.holders = {holder(Holder::Kind::process, audio)};
    CHECK(plan_of(vm_facts, R"({"strategy": "auto"})").warnings.empty());
    CHECK(plan_of(vm_facts).warnings.size() == 1);
}

TEST_CASE("beside a busy companion only the GPUs that the guest gets are cycled", "[plan]")
{
    Host host;
    host.add_card(nvidia_gpu, nvidia_gpu);
    host.add_function("0000:00:01.0", "0000:06:00.2", nvidia_audio);
    auto vm_facts = host.vm_facts("hostpci0: 06:00.0\n");
    vm_facts.taken = {gpu};
    vm_facts.holders = {holder(Holder::Kind::process, {0, 6, 0, 2})};
    const auto plan = plan_of(vm_facts);
    CHECK(targets<Remove>(plan.cards.at(0).steps) == Names{"0000:06:00.0"});
}

TEST_CASE("the first reason of a refusal is the one that is told", "[plan]")
{
    Host host;
    host.add_card();
    auto vm_facts = host.vm_facts(both);
    vm_facts.writers = {{600, "bash", "remove_store", true}};
    vm_facts.holders = {holder(Holder::Kind::mount, gpu)};
    const auto plan = plan_of(vm_facts);
    REQUIRE(plan.refused);
    CHECK(plan.refused->reason == ErrorKind::stuck_writer);
    CHECK_FALSE(plan.others_at_work);
    vm_facts.writers.clear();
    vm_facts.mapping_mismatches = {{"hostpci0", "a", 2, "is another device"},
                                   {"hostpci1", "b", 4, "is another device"}};
    CHECK(plan_of(vm_facts).refused->advice.fact == "mapping 'a': is another device");
}

TEST_CASE("nobody is waited for where nobody is at work", "[plan]")
{
    Host host;
    host.add_card();
    auto vm_facts = host.vm_facts(both);
    CHECK_FALSE(plan_of(vm_facts).others_at_work);
    vm_facts.writers = {{600, "bash", "remove_store", false}};
    CHECK(plan_of(vm_facts).others_at_work);
    CHECK_FALSE(plan_of(vm_facts).refused);
}

TEST_CASE("a guest for which nothing is done is not kept from its start by what stops a recovery", "[plan]")
{
    Host host;
    host.add_disk();
    auto vm_facts = host.vm_facts("hostpci0: 08:00\n");
    vm_facts.writers = {{600, "bash", "remove_store", true}};
    const auto plan = plan_of(vm_facts);
    CHECK_FALSE(plan.refused);
    CHECK(plan.nothing_to_do());
}

TEST_CASE("where a missing device is looked for, what is held beside it is judged before", "[plan]")
{
    Host host;
    host.add_card();
    host.add_disk();
    host.falls_off_the_bus("0000:06:00.0");
    host.falls_off_the_bus("0000:06:00.1");
    auto vm_facts = host.vm_facts(both + "hostpci1: 08:00\n");
    vm_facts.holders = {holder(Holder::Kind::mount, disk_address)};
    CHECK(plan_of(vm_facts).refused);
    CHECK(plan_of(vm_facts, R"({"strategy": "off"})").refused);
    vm_facts.holders.clear();
    CHECK_FALSE(plan_of(vm_facts).refused);
    CHECK_FALSE(plan_of(vm_facts).nothing_to_do());
    CHECK(plan_of(vm_facts, R"({"strategy": "off"})").nothing_to_do());
    vm_facts.writers = {{600, "bash", "remove_store", true}};
    CHECK(plan_of(vm_facts).refused); // the search would wait for the same lock
}

TEST_CASE("a missing device of a guest for which nothing is done is told of, if it is passed whole", "[plan]")
{
    Host host;
    host.add_disk();
    const auto plan = plan_of(host.vm_facts("hostpci0: 99:00\nhostpci1: 98:00,mdev=x\n"));
    CHECK_FALSE(plan.refused);
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings.at(0).fact.find("'hostpci0' names '99:00', which is not on the PCI bus") == 0);
}

TEST_CASE("a companion is busy only if it is the companion that is held", "[plan]")
{
    Host host;
    host.add_card();
    host.add_disk();
    auto vm_facts = host.vm_facts("hostpci0: 06:00.0\n");
    vm_facts.taken = {gpu};
    vm_facts.holders = {holder(Holder::Kind::mount, disk_address)};
    CHECK(plan_of(vm_facts).warnings.empty());
}

TEST_CASE("a held card is a refusal where nothing is done to it, too: Proxmox would take it", "[plan]")
{
    Host host;
    host.add_card();
    auto vm_facts = host.vm_facts(both);
    vm_facts.holders = {holder(Holder::Kind::vfio, gpu)};
    CHECK(plan_of(vm_facts).refused);
    CHECK(plan_of(vm_facts, R"({"strategy": "off"})").refused);
}

TEST_CASE("a device that is missing is searched, and looked for again when its card was reset", "[plan]")
{
    FakeSystem host;
    add_arc(host);
    add_guest(host, 101, "hostpci0: 03:00\nhostpci1: 04:00\n");
    host.falls_off_the_bus("0000:04:00.0");
    auto vm_facts = vm_facts_of(host);
    REQUIRE_FALSE(vm_facts.search.empty());
    CHECK_FALSE(plan_of(vm_facts).refused);
    vm_facts.search.clear();
    CHECK_FALSE(plan_of(vm_facts).refused);
}

TEST_CASE("a missing device that is not passed whole is not ours to miss", "[plan]")
{
    Host host;
    host.add_card();
    CHECK_FALSE(plan_of(host.vm_facts(both + "hostpci1: 99:00,mdev=x\n")).refused);
    CHECK(plan_of(host.vm_facts(both + "hostpci1: 99:00\n")).refused);
}

TEST_CASE("what is known of a model is asked of the GPU, whichever function that is", "[plan]")
{
    Host host;
    host.add_card(nvidia_audio, unsafe_gpu({"bus"}));
    const auto plan = plan_of(host.vm_facts(both));
    CHECK(targets<Reset>(plan.cards.at(0).steps).empty());
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings.front().fact.find("not to come back from a bus reset") != std::string::npos);
}

TEST_CASE("a GPU's own reset is asked of GPUs only", "[plan]")
{
    Host host;
    host.add_card(unsafe_gpu({"device_specific", "bus"}));
    CHECK(targets<Reset>(plan_of(host.vm_facts(both)).cards.at(0).steps) == Names{"0000:06:00.0"});
}

TEST_CASE("Bridge Control is used only where the kernel or the table vouches for a bus reset", "[plan]")
{
    struct Case {
        std::vector<std::string> first, second;
        bool reset;
    };
    for (const auto& [first, second, reset] :
         {Case{{"bus"}, {}, true}, Case{{}, {"bus"}, false}, Case{{"pm"}, {}, false}}) {
        Host host;
        host.add_card(with_methods(nvidia_gpu, first), with_methods(nvidia_audio, second), old_port);
        const auto plan = plan_of(host.vm_facts(both));
        CHECK(targets<Reset>(plan.cards.at(0).steps) == (reset ? Names{"0000:00:01.0"} : Names{}));
    }
    FakeSystem arc; // the table knows it; the kernel lists nothing
    add_arc(arc, {.reset_subordinate = false});
    arc.file("/sys/bus/pci/devices/0000:03:00.0/reset_method", "\n");
    add_guest(arc, 101, "hostpci0: 03:00\nhostpci1: 04:00\n");
    const auto plan = plan_of(vm_facts_of(arc));
    CHECK(targets<Reset>(plan.cards.at(0).steps) == Names{"0000:00:1c.0"});
}

TEST_CASE("a wish for the kernel's own reset is not met with another", "[plan]")
{
    Host host;
    host.add_card(nvidia_gpu, nvidia_audio, old_port);
    const auto plan = plan_of(host.vm_facts(both), R"({"reset_with": "reset_subordinate"})");
    CHECK(targets<Reset>(plan.cards.at(0).steps).empty());
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings.front().fact.find("which this kernel does not have") != std::string::npos);
}

TEST_CASE("of several who use a companion the first is named", "[plan]")
{
    Host host;
    host.add_card();
    auto vm_facts = host.vm_facts("hostpci0: 06:00.0\n");
    vm_facts.taken = {gpu};
    vm_facts.holders = {holder(Holder::Kind::process, audio), holder(Holder::Kind::network, audio)};
    const auto plan = plan_of(vm_facts);
    REQUIRE(plan.warnings.size() == 2); // the other says that the GPU alone has no reset
    CHECK(plan.warnings.front().fact.find("plex") != std::string::npos);
}

TEST_CASE("the bus whose group has the lowest number is rescanned first", "[plan]")
{
    const auto rescans = [](unsigned of_gpu, unsigned of_usb, unsigned of_audio) {
        FakeSystem host;
        add_arc(host);
        host.add_function("0000:02:01.0", "0000:03:00.1", usb_controller);
        add_guest(host, 101, "hostpci0: 03:00\nhostpci1: 04:00\n");
        auto vm_facts = vm_facts_of(host);
        auto& functions = vm_facts.topology.functions;
        functions.at({0, 3, 0, 0}).iommu_group = of_gpu;
        functions.at({0, 3, 0, 1}).iommu_group = of_usb;
        functions.at({0, 4, 0, 0}).iommu_group = of_audio;
        return targets<Rescan>(plan_of(vm_facts).cards.at(0).steps);
    };
    CHECK(rescans(14, 15, 16) == Names{"0000:03", "0000:04"});
    CHECK(rescans(15, 16, 14) == Names{"0000:04", "0000:03"});
    CHECK(rescans(20, 5, 10) == Names{"0000:03", "0000:04"});
    CHECK(rescans(14, 14, 14) == Names{"0000:03", "0000:04"});
}

TEST_CASE("a GPU beside a busy companion is reset by its own means, if it has any and may be", "[plan]")
{
    const auto resets = [](std::vector<std::string> methods, const std::string& text) {
        Host host;
        host.add_card(with_methods(nvidia_gpu, std::move(methods)));
        auto vm_facts = host.vm_facts("hostpci0: 06:00.0\n");
        vm_facts.taken = {gpu};
        vm_facts.holders = {holder(Holder::Kind::process, audio)};
        return targets<Reset>(plan_of(vm_facts, text).cards.at(0).steps);
    };
    for (const auto* const method : {"device_specific", "acpi", "flr", "af_flr"})
        CHECK(resets({method, "bus"}, "{}") == Names{"0000:06:00.0"});
    CHECK(resets({"bus"}, "{}").empty());
    CHECK(resets({"flr", "bus"}, R"({"strategy": "remove-rescan"})").empty());
}

TEST_CASE("a function whose bridge goes while it is looked at is gone with it", "[plan]")
{
    FakeSystem host;
    add_arc(host);
    add_guest(host, 101, "hostpci0: 03:00\nhostpci1: 04:00\n");
    host.tree().erase("/sys/bus/pci/devices/0000:02:01.0/vendor");
    const auto vm_facts = vm_facts_of(host);
    CHECK(vm_facts.topology.find({0, 3, 0, 0}) == nullptr);
    CHECK_NOTHROW(plan_of(vm_facts));
}

TEST_CASE("a tree that leads back to where it came from is looked through once",
          "[plan]") // found by fuzz_vm_facts
{
    FakeSystem host;
    add_arc(host);
    add_guest(host, 101, "hostpci0: 03:00\n");
    host.file("/sys/bus/pci/devices/0000:03:00.0/0000:02:01.0/x", "");
    REQUIRE(host.list("/sys/bus/pci/devices/0000:03:00.0").front() == "0000:02:01.0");
    const auto vm_facts = vm_facts_of(host);
    CHECK(vm_facts.cards.size() == 1);
}

TEST_CASE("a port whose bus has gone while it was looked at has no card", "[plan]") // found by fuzz_topology
{
    Host host;
    host.add_card();
    auto topology = host.vm_facts(both).topology;
    CHECK(find_cards(topology, {gpu}).at(0).port);
    topology.functions.at({0, 0, 1, 0}).bridge = false;
    const auto card = find_cards(topology, {gpu}).at(0);
    CHECK_FALSE(card.port);
    CHECK(card.left_alone_because == "the bridge above it, '0000:00:01.0', is not a PCI Express port");
}
