// What a device is called: the device table first, then Debian's pci.ids.
#include "pci/device_names.hpp"

#include "catch.hpp"
#include "fake_system.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

// Of pci.ids of 2025.06, with its comments, subsystems and classes.
constexpr std::string_view pci_ids = R"(#
#	List of PCI ID's
1002  Advanced Micro Devices, Inc. [AMD/ATI]
	73bf  Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]
		1002 0e3a  Radeon RX 6900 XT
	ab28  Navi 21/23 HDMI/DP Audio Controller
10de  NVIDIA Corporation
	2204  GA102 [GeForce RTX 3090]
		10de 147d  GA102 [GeForce RTX 3090]
# a comment between two devices
	2208  GA102 [GeForce RTX 3080 Ti]
1a03  ASPEED Technology, Inc.
	2000  ASPEED Graphics Family
8086  Intel Corporation
	2204  not NVIDIA's
C 03  Display controller
	00  VGA compatible controller
)";

Function function_of(std::uint16_t vendor, std::uint16_t device)
{
    Function function;
    function.address = *parse_pci_address("0000:03:00.0");
    function.vendor = vendor;
    function.device = device;
    return function;
}

} // namespace

TEST_CASE("a name in pci.ids is the vendor's as people say it and the card's as it is sold", "[names]")
{
    CHECK(name_in_pci_ids(pci_ids, 0x1002, 0x73bf) == "AMD Radeon RX 6800/6800 XT / 6900 XT");
    CHECK(name_in_pci_ids(pci_ids, 0x1002, 0xab28) == "AMD Navi 21/23 HDMI/DP Audio Controller");
    CHECK(name_in_pci_ids(pci_ids, 0x10de, 0x2204) == "NVIDIA GeForce RTX 3090");
    CHECK(name_in_pci_ids(pci_ids, 0x10de, 0x2208) == "NVIDIA GeForce RTX 3080 Ti");
    CHECK(name_in_pci_ids(pci_ids, 0x1a03, 0x2000) == "ASPEED Technology ASPEED Graphics Family");
}

TEST_CASE("what pci.ids does not have has no name, whatever stands near it", "[names]")
{
    CHECK(name_in_pci_ids(pci_ids, 0x8086, 0x2208).empty()); // another vendor's
    CHECK(name_in_pci_ids(pci_ids, 0x10de, 0x147d).empty()); // a subsystem's
    CHECK(name_in_pci_ids(pci_ids, 0x1234, 0x1111).empty());
    CHECK(name_in_pci_ids("", 0x10de, 0x2204).empty());
    CHECK(name_in_pci_ids("\n10de  NVIDIA", 0x10de, 0x2204).empty());
    CHECK(name_in_pci_ids("\n10de  ", 0x10de, 0x2204).empty());
    CHECK(name_in_pci_ids("\n10de  [\n\t2204  [", 0x10de, 0x2204) == " ");
}

TEST_CASE("the device table comes first, and pci.ids is read for what it lacks", "[names]")
{
    FakeSystem machine;
    machine.file("/usr/share/misc/pci.ids",
                 "\n8086  Intel Corporation\n\t56a6  DG2 [Other]\n\t9999  X [Y\x1bZ]\n");
    const auto arc = function_of(0x8086, 0x56a6), other = function_of(0x8086, 0x9999),
               unknown = function_of(0x1234, 0x1111);
    CHECK(with_name(device_names(machine, {&arc}), arc.address) == "Intel Arc A310, 0000:03:00.0");
    CHECK(with_name(device_names(machine, {&other}), other.address) == "Intel Y\\x1bZ, 0000:03:00.0");
    CHECK(with_name(device_names(machine, {&unknown}), unknown.address) == "0000:03:00.0");
    machine.tree().erase("/usr/share/misc/pci.ids");
    CHECK(device_names(machine, {&other}).empty());
}
