#include "proxmox/pci_mapping.hpp"

#include "catch.hpp"
#include "has.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr const char* good_map = "id=10de:2204,node=pve1,path=0000:01:00";

// A file with one section that has this one map line.
PciMappings with_map(const std::string& map)
{
    return parse_pci_mappings("gpu\n\tmap " + map + "\n\n");
}

MappedDevice device_of(const std::string& map)
{
    const PciMappings mappings = with_map(map);
    CHECK(mappings.warnings.empty());
    REQUIRE(mappings.find("gpu") != nullptr);
    REQUIRE(mappings.find("gpu")->devices.size() == 1);
    return mappings.find("gpu")->devices.front();
}

bool dropped(const std::string& map)
{
    const PciMappings mappings = with_map(map);
    return mappings.find("gpu") == nullptr &&
           mappings.warnings.size() == 2; // the line, and the empty section
}

std::vector<std::string> names(const PciMappings& mappings)
{
    std::vector<std::string> names;
    for (const PciMapping& mapping : mappings.mappings) names.push_back(mapping.name);
    return names;
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("a mapping lists alternatives for several nodes, in the order of the file")
{
    const PciMappings mappings =
        parse_pci_mappings("gpu-main\n"
                           "\tdescription Main GPU\n"
                           "\tlive-migration-capable 0\n"
                           "\tmap id=10de:2204,iommugroup=14,node=pve1,path=0000:01:00,"
                           "subsystem-id=10de:1467\n"
                           "\tmap id=10de:2204,node=pve2,path=0000:21:00.0\n"
                           "\tmap id=10de:2204,node=pve1,path=0000:41:00.0;0000:41:00.1\n"
                           "\tmdev 0\n"
                           "\n"
                           "other\n"
                           "\tmap id=8086:56a6,node=pve1,path=0000:03:00.0\n");
    CHECK(mappings.warnings.empty());
    CHECK(names(mappings) == Texts{"gpu-main", "other"});
    CHECK(mappings.find("none") == nullptr);

    const auto devices = devices_on_node(*mappings.find("gpu-main"), "pve1");
    REQUIRE(devices.size() == 2);
    CHECK(devices[0].paths == std::vector<HostSelector>{{"0000:01:00"}});
    CHECK(devices[0].id == "10de:2204");
    CHECK(devices[0].subsystem_id == "10de:1467");
    CHECK(devices[0].iommu_group == 14U);
    CHECK(devices[0].line == 4);
    CHECK(devices[1].paths == std::vector<HostSelector>{{"0000:41:00.0"}, {"0000:41:00.1"}});
    CHECK_FALSE(devices[1].subsystem_id);
    CHECK_FALSE(devices[1].iommu_group);
}

TEST_CASE("a node is named exactly")
{
    const PciMappings mappings = with_map(good_map);
    CHECK(devices_on_node(*mappings.find("gpu"), "pve1").size() == 1);
    for (const auto* node : {"pve", "PVE1", "pve10", ""})
        CHECK(devices_on_node(*mappings.find("gpu"), node).empty());
}

TEST_CASE("a map line needs node, id and path and takes no key that Proxmox does not know")
{
    CHECK(device_of(good_map).node == "pve1");
    for (const auto* map :
         {"id=10de:2204,node=pve1", "id=10de:2204,path=0000:01:00", "node=pve1,path=0000:01:00", "0000:01:00",
          "id=10de:2204,node=pve1,path=0000:01:00,0000:02:00",
          "id=10de:2204,node=pve1,path=0000:01:00,mdev=1",
          "id=10de:2204,node=pve1,path=0000:01:00,id=10de:2204", "id=10de,node=pve1,path=0000:01:00",
          "id=0x10de:0x2204,node=pve1,path=0000:01:00", "id=10de:2204,node=pve_1,path=0000:01:00",
          "id=10de:2204,node=-pve,path=0000:01:00", "id=10de:2204,node=pve-,path=0000:01:00",
          "id=10de:2204,node=pve1,path=0000:01:00,iommugroup=x",
          "id=10de:2204,node=pve1,path=0000:01:00,iommugroup=1.5",
          "id=10de:2204,node=pve1,path=0000:01:00,subsystem-id=none"})
        CHECK(dropped(map));
}

TEST_CASE("a path has its domain, in lower case")
{
    CHECK(device_of("id=10de:2204,node=a,path=10000:e1:00.0").paths.front().text == "10000:e1:00.0");
    for (const auto* path : {"01:00", "01:00.0", "0000:0A:00", "000:01:00", "0000:01:00;", ";0000:01:00",
                             "0000:01:00;;0000:02:00", "0000:01:00.", "0000:01:00.00", "0000:01:0"})
        CHECK(dropped("id=10de:2204,node=pve1,path=" + std::string(path)));
}

TEST_CASE("any character passes for the dot before the function, and the start dies of it")
{
    for (const auto* path :
         {"0000:01:00x1", "0000:01:00;1", "0000:01:00 0;0000:02:00", "0000:02:00.0;0000:01:00:f"}) {
        const MappedDevice device = device_of("id=10de:2204,node=pve1,path=" + std::string(path));
        REQUIRE(device.start_error);
        CHECK(has(*device.start_error, "is no PCI address"));
    }
}

TEST_CASE("an IOMMU group that is not written as the kernel writes it fits no device")
{
    for (const auto* group : {"014", "+14", "-1", "-0", "99999999999999999999"}) {
        const auto device = device_of(std::string(good_map) + ",iommugroup=" + group);
        CHECK(device.start_error);
        CHECK(mapping_mismatch(device, {"10de:2204", std::nullopt, 14, std::nullopt}) == device.start_error);
    }
    CHECK_FALSE(device_of(std::string(good_map) + ",iommugroup=0").start_error);
}

TEST_CASE("an empty line ends a section, a comment does not")
{
    const PciMappings mappings =
        parse_pci_mappings("# a file\n\n\none\n#\n\tmap id=10de:2204,node=a,path=0000:01:00\n"
                           "  # still one\n\tmap id=10de:2204,node=a,path=0000:02:00\n\n"
                           "two\n\tmap id=10de:2204,node=a,path=0000:03:00");
    CHECK(mappings.warnings.empty());
    REQUIRE(names(mappings) == Texts{"one", "two"});
    CHECK(mappings.mappings[0].devices.size() == 2);
}

TEST_CASE("a line of blanks, as CRLF line ends leave, does not end a section: the next one is lost in it")
{
    const PciMappings mappings = parse_pci_mappings("one\r\n\tmap id=10de:2204,node=a,path=0000:01:00\r\n\r\n"
                                                    "two\r\n\tmap id=10de:2204,node=a,path=0000:02:00\r\n");
    CHECK(names(mappings) == Texts{"one"});
    CHECK(mappings.mappings[0].devices.size() == 2);
    CHECK(mappings.warnings.size() == 2); // the blank line and the second header
}

TEST_CASE("a line that is 0 is false for Perl and ends a section too")
{
    const PciMappings mappings = parse_pci_mappings("one\n\tmap id=10de:2204,node=a,path=0000:01:00\n0\n"
                                                    "two\n\tmap id=10de:2204,node=a,path=0000:02:00\n");
    CHECK(names(mappings) == Texts{"one", "two"});
    CHECK(mappings.warnings.empty());
}

TEST_CASE("a header without an empty line before it belongs to the section above")
{
    const PciMappings mappings = parse_pci_mappings("one\n\tmap id=10de:2204,node=a,path=0000:01:00\n"
                                                    "two\n\tmap id=10de:2204,node=a,path=0000:02:00\n");
    CHECK(names(mappings) == Texts{"one"});
    REQUIRE(mappings.warnings.size() == 1);
    CHECK(mappings.warnings.front().line == 3);
}

TEST_CASE("a section whose name is not valid is skipped whole")
{
    for (const auto* name : {"1gpu", "g", "gpu.main", "pci:gpu", "\xc3\xa4gpu"}) {
        const PciMappings mappings = parse_pci_mappings(std::string(name) + "\n\tmap " + good_map +
                                                        "\n\ngpu\n\tmap " + good_map + "\n");
        CHECK(names(mappings) == Texts{"gpu"});
        CHECK(mappings.warnings.size() == 1);
    }
}

TEST_CASE("a line outside of any section that is no header is ignored")
{
    const PciMappings mappings =
        parse_pci_mappings(" \n\tmap x\npci: gpu\n\ngpu\n\tmap " + std::string(good_map) + "\n");
    CHECK(names(mappings) == Texts{"gpu"});
    CHECK(mappings.warnings.size() == 3);
}

TEST_CASE("the later of two sections with one name counts, even if it is empty")
{
    const std::string first = "gpu\n\tmap " + std::string(good_map) + "\n\n";
    const PciMappings later = parse_pci_mappings(first + "gpu\n\tmap id=8086:56a6,node=a,path=0000:03:00\n");
    REQUIRE(names(later) == Texts{"gpu"});
    CHECK(later.mappings[0].devices[0].id == "8086:56a6");
    CHECK(names(parse_pci_mappings(first + "gpu\n\tmdev 1\n")).empty());
}

TEST_CASE("a map line that is not valid leaves the others in place")
{
    const PciMappings mappings =
        parse_pci_mappings("gpu\n\tmap node=a\n\tmap " + std::string(good_map) + "\n\tmap\n");
    REQUIRE(names(mappings) == Texts{"gpu"});
    CHECK(mappings.mappings[0].devices.size() == 1);
    CHECK(mappings.warnings.size() == 2);
    CHECK(mappings.warnings[0].line == 2);
    CHECK(has(mappings.warnings[0].advice.fact, "mapping 'gpu': map: id is missing"));
}

TEST_CASE("mdev is 1, 0 or there without a value, and the first valid one counts")
{
    const auto mdev = [](const std::string& lines) {
        const PciMappings mappings = parse_pci_mappings("gpu\n\tmap " + std::string(good_map) + "\n" + lines);
        REQUIRE(mappings.mappings.size() == 1);
        CHECK(mappings.mappings[0].devices[0].mdev == mappings.mappings[0].mdev);
        return mappings.mappings[0].mdev;
    };
    CHECK_FALSE(mdev(""));
    CHECK(mdev("\tmdev 1\n"));
    CHECK(mdev("\tmdev\n"));
    CHECK_FALSE(mdev("\tmdev 0\n\tmdev 1\n"));
    CHECK(mdev("\tmdev yes\n\tmdev 1\n"));
}

TEST_CASE("other properties are read and checked, but only to warn")
{
    CHECK(
        parse_pci_mappings("gpu\n\tdescription x\n\tlive-migration-capable 1\n\tmap " + std::string(good_map))
            .warnings.empty());
    const PciMappings mappings =
        parse_pci_mappings("gpu\n\tdescription\n\tid gpu\n\tcolour red\n\tlive-migration-capable 2\n\tmap " +
                           std::string(good_map));
    CHECK(names(mappings) == Texts{"gpu"});
    CHECK(mappings.warnings.size() == 4);
}

TEST_CASE("a mapping fits its device when id, subsystem and group are the same text")
{
    const auto device = device_of(std::string(good_map) + ",subsystem-id=10de:1467,iommugroup=14");
    const MappedFacts facts{"10de:2204", "10de:1467", 14, false};
    CHECK_FALSE(mapping_mismatch(device, facts));

    MappedFacts other = facts;
    other.id = "10de:2206";
    CHECK(mapping_mismatch(device, other) == "the mapping's id is '10de:2204', the device's is '10de:2206'");
    other = facts;
    other.subsystem_id = "10de:0000";
    CHECK(has(*mapping_mismatch(device, other), "subsystem-id"));
    other = facts;
    other.iommu_group = 15;
    CHECK(has(*mapping_mismatch(device, other), "iommugroup"));
}

TEST_CASE("a property that only one side has does not fit")
{
    const auto bare = device_of(good_map);
    CHECK_FALSE(mapping_mismatch(bare, {"10de:2204", std::nullopt, std::nullopt, std::nullopt}));
    CHECK(mapping_mismatch(bare, {"10de:2204", "0000:0000", std::nullopt, std::nullopt}) ==
          "the mapping lacks subsystem-id, the device's is '0000:0000'");
    CHECK(has(*mapping_mismatch(bare, {"10de:2204", std::nullopt, 3, std::nullopt}), "lacks iommugroup"));
    const auto grouped = device_of(std::string(good_map) + ",iommugroup=3");
    CHECK(
        has(*mapping_mismatch(grouped, {"10de:2204", std::nullopt, std::nullopt, std::nullopt}), "has none"));
}

TEST_CASE("an upper-case id passes the format and fits no device")
{
    const auto device = device_of("id=10DE:2204,node=pve1,path=0000:01:00");
    CHECK(device.id == "10DE:2204");
    CHECK(mapping_mismatch(device, {"10de:2204", std::nullopt, std::nullopt, std::nullopt}));
}

TEST_CASE("the IOMMU group is compared for the first path only, the id for each")
{
    const auto device = device_of("id=10de:2204,node=a,path=0000:41:00.0;0000:41:00.1,iommugroup=3");
    CHECK(mapping_mismatch(device, {"10de:2204", std::nullopt, 4, std::nullopt}, 0));
    CHECK_FALSE(mapping_mismatch(device, {"10de:2204", std::nullopt, 4, std::nullopt}, 1));
    CHECK(mapping_mismatch(device, {"10de:1aef", std::nullopt, 4, std::nullopt}, 1));
}

TEST_CASE("a mapping for mediated devices fits only a device that offers them")
{
    auto device = device_of(good_map);
    const MappedFacts plain{"10de:2204", std::nullopt, std::nullopt, false};
    const MappedFacts offers{"10de:2204", std::nullopt, std::nullopt, true};
    CHECK(has(*mapping_mismatch(device, offers), "mdev"));
    device.mdev = true;
    CHECK_FALSE(mapping_mismatch(device, offers));
    CHECK(has(*mapping_mismatch(device, plain), "mdev"));
}
