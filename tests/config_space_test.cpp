#include "catch.hpp"
#include "fake_facts.hpp"
#include "pci/config_space.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

std::string endpoint()
{
    return fake_config(FunctionFacts{});
}

std::string with(std::string bytes, std::size_t offset, std::string_view other)
{
    return bytes.replace(offset, other.size(), other);
}

} // namespace

TEST_CASE("an endpoint's header and link")
{
    const auto space = parse_config_space(fake_config(FunctionFacts{.link_width = 8}));
    CHECK(space.health == Health::alive);
    CHECK(space.vendor == 0x1234);
    CHECK(space.device == 0x1111);
    CHECK(space.header_type == 0);
    CHECK(space.pcie == PcieType::endpoint);
    CHECK(space.link_width == 8);
    CHECK_FALSE(space.link_active_reported);
}

TEST_CASE("bridges of every kind")
{
    for (const auto type :
         {PcieType::root_port, PcieType::switch_upstream, PcieType::switch_downstream, PcieType::bridge}) {
        const auto space =
            parse_config_space(fake_config(BridgeFacts{.type = type, .link_width = 16}, {0, 1, 5}));
        CHECK(space.header_type == 1);
        CHECK(space.pcie == type);
        CHECK(space.link_width == 16);
        CHECK(space.link_active_reported);
        CHECK(space.link_active);
    }
    CHECK_FALSE(parse_config_space(fake_config(BridgeFacts{.link_active = false}, {0, 1, 1})).link_active);
}

TEST_CASE("the bytes of QEMU's root port (tests/machines/arc-6.12.machine)")
{
    // Its list of capabilities is 0x54: PCIe, 0x48, 0x40; LnkCap bit 20, LnkSta with 1 lane and a link.
    std::string bytes(256, '\0');
    bytes = with(bytes, 0x00, std::string_view("\x36\x1b\x0c\x00\x07\x05\x10\x00", 8));
    bytes = with(bytes, 0x0e, std::string_view("\x01", 1));
    bytes = with(bytes, 0x34, std::string_view("\x54", 1));
    bytes = with(bytes, 0x54,
                 std::string_view("\x10\x48\x42\x01\x00\x80\x00\x00\x0f\x00\x00\x00\x04\x06\x30\x00"
                                  "\x00\x00\x11\x20",
                                  20));
    const auto space = parse_config_space(bytes);
    CHECK(space.vendor == 0x1b36);
    CHECK(space.pcie == PcieType::root_port);
    CHECK(space.link_width == 1);
    CHECK(space.link_active_reported);
    CHECK(space.link_active);
}

TEST_CASE("conventional PCI has no PCIe capability")
{
    CHECK_FALSE(parse_config_space(fake_config(FunctionFacts{.express = false})).pcie);
    // a pointer that is left over counts only where the status says that there is a list
    CHECK_FALSE(parse_config_space(with(endpoint(), 0x06, std::string_view("\0\0", 2))).pcie);
}

TEST_CASE("all ones, and a header of ones behind a valid id, are dead")
{
    CHECK(parse_config_space(std::string(256, '\xff')).health == Health::dead);
    CHECK(parse_config_space(with(endpoint(), 0x0e, "\xff")).health == Health::dead);
    CHECK(parse_config_space(with(endpoint(), 0x0e, "\x7f")).health == Health::dead);
}

TEST_CASE("a device that asks to be asked again is not ready")
{
    const auto space = parse_config_space(with(std::string(256, '\xff'), 0,
                                               std::string_view("\x01\x00\xff\xff\xff\xff"
                                                                "\xff\xff\xff\xff\xff\xff"
                                                                "\xff\xff\x00",
                                                                15)));
    CHECK(space.health == Health::not_ready);
    CHECK_FALSE(space.pcie);
}

TEST_CASE("fewer than 64 bytes are a dead function, and 64 have no capabilities")
{
    CHECK(parse_config_space("").health == Health::dead);
    CHECK(parse_config_space(endpoint().substr(0, 63)).health == Health::dead);
    const auto header = parse_config_space(endpoint().substr(0, 64));
    CHECK(header.health == Health::alive);
    CHECK_FALSE(header.pcie);
}

TEST_CASE("a list of capabilities that bites its own tail, or leads nowhere")
{
    CHECK_FALSE(parse_config_space(with(endpoint(), 0x40, "\x01\x40")).pcie);
    CHECK_FALSE(parse_config_space(with(endpoint(), 0x34, std::string_view("\x10", 1))).pcie);
    // the capability at the very end of the bytes: what is missing reads as ones
    const auto cut = with(with(endpoint(), 0x34, "\xfc"), 0xfc, std::string_view("\x10\x00\x42\x00", 4));
    CHECK(parse_config_space(cut).pcie == PcieType::root_port);
}

TEST_CASE("the bit for several functions is no part of the header's type")
{
    CHECK(parse_config_space(with(endpoint(), 0x0e, "\x80")).header_type == 0);
}
