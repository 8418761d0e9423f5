#include "base/pci_address.hpp"

#include "catch.hpp"

using namespace pvegpu;

TEST_CASE("an address is read as sysfs writes it, and written the same way")
{
    CHECK(parse_pci_address("0000:03:00.0") == PciAddress{0, 3, 0, 0});
    CHECK(parse_pci_address("abcd:ff:1f.7") == PciAddress{0xabcd, 0xff, 0x1f, 7});
    for (const auto* text : {"0000:00:00.0", "0000:03:00.1", "10000:e1:1f.7", "ffffffff:ff:1f.7"})
        CHECK(to_string(*parse_pci_address(text)) == text);
}

TEST_CASE("the domain of a VMD has five digits")
{
    CHECK(parse_pci_address("10000:e1:00.0") == PciAddress{0x10000, 0xe1, 0, 0});
}

TEST_CASE("what sysfs does not write is no address")
{
    for (const auto* text : {"",
                             "03:00.0",
                             "0000:03:00",
                             "000:03:00.0",
                             "0000:0A:00.0",
                             "0000:03:20.0",
                             "0000:03:00.8",
                             "0000:3:00.0",
                             "00000:03:00.0",
                             "0000:03:00.0 ",
                             " 0000:03:00.0",
                             "0000:03:00.0\n",
                             "0000:03:00,0",
                             "0000-03:00.0",
                             "0000:03-00.0",
                             "100000000:03:00.0",
                             "../../03:00.0",
                             "0000:03:00.00",
                             ":03:00.0",
                             "-001:03:00.0"})
        CHECK_FALSE(parse_pci_address(text));
}

TEST_CASE("a bus is written with its domain")
{
    CHECK(to_string(PciBus{0, 3}) == "0000:03");
    CHECK(to_string(bus_of(*parse_pci_address("10000:e1:00.0"))) == "10000:e1");
}

TEST_CASE("functions of one slot differ in the function only")
{
    const PciAddress gpu{0, 3, 0, 0};
    CHECK(same_slot(gpu, {0, 3, 0, 1}));
    CHECK_FALSE(same_slot(gpu, {0, 3, 1, 0}));
    CHECK_FALSE(same_slot(gpu, {0, 4, 0, 0}));
    CHECK_FALSE(same_slot(gpu, {1, 3, 0, 0}));
}

TEST_CASE("addresses sort by domain, bus, slot, function")
{
    CHECK(PciAddress{0, 0xff, 0x1f, 7} < PciAddress{1, 0, 0, 0});
    CHECK(PciAddress{0, 3, 0, 0} < PciAddress{0, 3, 0, 1});
}
