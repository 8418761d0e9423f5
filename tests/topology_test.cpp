#include "catch.hpp"
#include "pci/topology.hpp"

using namespace pvegpu;

namespace {

PciAddress at(std::uint8_t bus, std::uint8_t slot = 0, std::uint8_t function = 0)
{
    return {0, bus, slot, function};
}

Function function(const PciAddress& address, std::vector<PciAddress> above, std::uint32_t class_code)
{
    Function result;
    result.address = address;
    result.above = std::move(above);
    result.class_code = class_code;
    return result;
}

// 00:1c.0 > 01:00.0 > 02:01.0 > 03:00.0 GPU, 02:04.0 > 04:00.0 audio; and a function beside them
Topology arc()
{
    const auto root = at(0, 0x1c);
    const auto upstream = at(1);
    Topology topology;
    for (const auto& each :
         {function(root, {}, 0x060400), function(upstream, {root}, 0x060400),
          function(at(2, 1), {root, upstream}, 0x060400), function(at(2, 4), {root, upstream}, 0x060400),
          function(at(3), {root, upstream, at(2, 1)}, 0x030000),
          function(at(4), {root, upstream, at(2, 4)}, 0x040300), function(at(0, 0x1f, 3), {}, 0x0c0500),
          function(at(0, 0x1f), {}, 0x060100)})
        topology.functions.emplace(each.address, each);
    return topology;
}

std::vector<std::string> names(const std::vector<const Function*>& functions)
{
    std::vector<std::string> result;
    for (const auto* each : functions) result.push_back(to_string(each->address));
    return result;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("functions are found by address")
{
    const auto topology = arc();
    CHECK(topology.find(at(3))->class_code == 0x030000);
    CHECK(topology.find(at(9)) == nullptr);
    CHECK(&topology.at(at(3)) == topology.find(at(3)));
    CHECK_THROWS_AS(topology.at(at(9)), std::out_of_range);
}

TEST_CASE("the bridge above, and everything below one")
{
    const auto topology = arc();
    CHECK(topology.bridge_above(topology.at(at(3)))->address == at(2, 1));
    CHECK(topology.bridge_above(topology.at(at(0, 0x1c))) == nullptr);
    CHECK(names(topology.below(topology.at(at(1)))) ==
          Names{"0000:02:01.0", "0000:02:04.0", "0000:03:00.0", "0000:04:00.0"});
    CHECK(names(topology.below(topology.at(at(2, 4)))) == Names{"0000:04:00.0"});
    CHECK(topology.below(topology.at(at(3))).empty());
}

TEST_CASE("a bridge that is missing from the topology is no bridge above")
{
    auto topology = arc();
    topology.functions.erase(at(2, 1));
    CHECK(topology.bridge_above(topology.at(at(3))) == nullptr);
}

TEST_CASE("a slot's functions share everything but the number of the function")
{
    const auto topology = arc();
    CHECK(names(topology.on_slot_of(topology.at(at(0, 0x1f)))) == Names{"0000:00:1f.0", "0000:00:1f.3"});
    CHECK(names(topology.on_slot_of(topology.at(at(2, 1)))) == Names{"0000:02:01.0"});
}

TEST_CASE("classes of GPUs and of companions")
{
    const auto of = [](std::uint32_t class_code) { return function(at(3), {}, class_code); };
    for (const auto gpu : {0x030000U, 0x030200U, 0x038000U, 0x120000U}) CHECK(is_gpu(of(gpu)));
    for (const auto other : {0x040300U, 0x060400U, 0x010802U, 0U, 0xffffffU}) CHECK_FALSE(is_gpu(of(other)));
    for (const auto companion : {0x040300U, 0x0c0330U, 0x0c8000U, 0x0c0500U, 0x070000U, 0x078000U})
        CHECK(is_companion(of(companion)));
    for (const auto other : {0x040100U, 0x0c0000U, 0x030000U, 0x010802U, 0x020000U, 0x060400U})
        CHECK_FALSE(is_companion(of(other)));
}

TEST_CASE("a bridge is no GPU, whatever class it says") // found by fuzz_topology
{
    auto odd = function(at(3), {at(0, 0x1c)}, 0x030200);
    CHECK(is_gpu(odd));
    odd.bridge = true;
    CHECK_FALSE(is_gpu(odd));
}

TEST_CASE("ids and roles are printed as in CONTRACT.md")
{
    auto gpu = function(at(3), {}, 0x030000);
    gpu.vendor = 0x8086;
    gpu.device = 0x56a6;
    gpu.subsystem_vendor = 0x1849;
    gpu.subsystem_device = 0x6;
    CHECK(device_id(gpu) == "8086:56a6");
    CHECK(subsystem_id(gpu) == "1849:0006");
    CHECK(to_string(Role::gpu) == "gpu");
    CHECK(to_string(Role::companion) == "companion");
    CHECK(to_string(Role::neighbour) == "neighbour");
}

TEST_CASE("a function has FLR if the kernel offers it")
{
    auto gpu = function(at(3), {}, 0x030000);
    gpu.reset_methods = {"pm", "bus"};
    CHECK_FALSE(gpu.flr());
    gpu.reset_methods = {"flr", "bus"};
    CHECK(gpu.flr());
    gpu.reset_methods = {"af_flr"}; // the older feature of conventional PCI, reset by other means
    CHECK_FALSE(gpu.flr());
}
