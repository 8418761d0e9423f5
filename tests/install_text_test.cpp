// The installer's parsers and printers: texts in, values out.
#include "base/text.hpp"
#include "catch.hpp"
#include "changes/show.hpp"
#include "host/kernel_cmdline.hpp"
#include "host/module_aliases.hpp"
#include "proxmox/ha_config.hpp"
#include "proxmox/storage_config.hpp"

using namespace pvegpu;

TEST_CASE("storages have a directory for snippets, or none")
{
    const auto storages = parse_storages("dir: local\n"
                                         "\tpath /var/lib/vz\n"
                                         "\tcontent iso,vztmpl,backup\n"
                                         "\n"
                                         "lvmthin: local-lvm\n"
                                         "\tthinpool data\n"
                                         "\n"
                                         "nfs: nas\n"
                                         "\texport /srv\n"
                                         "\tserver 10.0.0.1\n"
                                         "\n"
                                         "dir: moved\n"
                                         "\tpath /srv/moved\n"
                                         "\tcontent-dirs iso=images,snippets=hooks\n"
                                         "\tdisable\n"
                                         "\tnodes pve1,pve2\n");
    REQUIRE(storages.size() == 4);
    CHECK(storages[0].snippets == "/var/lib/vz/snippets");
    CHECK(storages[1].snippets.empty());
    CHECK(storages[2].snippets == "/mnt/pve/nas/snippets");
    CHECK(storages[2].shared);
    CHECK(storages[3].snippets == "/srv/moved/hooks");
    CHECK_FALSE(storages[3].enabled);
    CHECK(storages[3].on_node("pve2"));
    CHECK_FALSE(storages[3].on_node("pve3"));
    CHECK(snippet_path(storages, "nas:snippets/a.sh") == "/mnt/pve/nas/snippets/a.sh");
    CHECK_FALSE(snippet_path(storages, "local:snippets/../../../etc/passwd"));
    CHECK_FALSE(snippet_path(storages, "local:iso/a.iso"));
    CHECK_FALSE(snippet_path(storages, "absent:snippets/a.sh"));
    CHECK_FALSE(snippet_path(storages, "local-lvm:snippets/a.sh"));
    CHECK(choose_storage(storages, "pve1")->id == "local");
}

TEST_CASE("a host without storage.cfg has the built-in one; a disabled 'local' is not chosen")
{
    CHECK(choose_storage(parse_storages(""), "pve")->snippets == "/var/lib/vz/snippets");
    const auto btrfs = parse_storages("nfs: nas\n\tserver x\n\n"
                                      "dir: local\n\tpath /var/lib/vz\n\tdisable\n\n"
                                      "btrfs: local-btrfs\n\tpath /var/lib/pve/local-btrfs\n");
    CHECK(choose_storage(btrfs, "pve")->id == "local-btrfs");
    CHECK(choose_storage(parse_storages("zfspool: local-zfs\n\tpool rpool\n"), "pve") == nullptr);
    CHECK(parse_storages("dir: evil\n\tpath /srv/../etc\n").at(0).snippets.empty());
    CHECK(parse_storages("dir: a/b\n\tpath /srv\n").empty());
}

TEST_CASE("the modules of a function are those whose alias it matches")
{
    Function gpu;
    gpu.vendor = 0x8086;
    gpu.device = 0x56a6;
    gpu.subsystem_vendor = 0x1849;
    gpu.subsystem_device = 0x6006;
    gpu.class_code = 0x030000;
    CHECK(modalias(gpu) == "pci:v00008086d000056A6sv00001849sd00006006bc03sc00i00");
    const auto modules = modules_of("# Aliases extracted from modules themselves.\n"
                                    "alias pci:v00008086d000056A6sv*sd*bc03sc*i* i915\n"
                                    "alias pci:v00008086d000056A6sv*sd*bc03sc*i* xe\n"
                                    "alias pci:v00008086d000056A6sv*sd*bc03sc*i* xe\n"
                                    "alias pci:v00008086d000056A5sv*sd*bc03sc*i* other\n"
                                    "alias pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
                                    "alias pci:v00008086d*sv*sd*bc*sc*i* bad;name\n"
                                    "alias usb:v8086p* usbthing\n",
                                    {gpu, Function{}});
    REQUIRE(modules.size() == 2);
    CHECK(modules[0] == std::vector<std::string>{"i915", "xe"});
    CHECK(modules[1].empty());
}

TEST_CASE("patterns match as a shell's do")
{
    CHECK(matches_pattern("a*c", "abbc"));
    CHECK(matches_pattern("*", ""));
    CHECK(matches_pattern("a**", "a"));
    CHECK(matches_pattern("a?c*d", "abcxcd"));
    CHECK_FALSE(matches_pattern("a*c", "abbd"));
    CHECK_FALSE(matches_pattern("", "a"));
    CHECK_FALSE(matches_pattern("a", ""));
}

TEST_CASE("the command line gets what it needs, and keeps what the administrator said")
{
    CHECK(needed_tokens(CpuVendor::intel, "6.5.11-8-pve") == Tokens{"intel_iommu=on", "iommu=pt"});
    CHECK(needed_tokens(CpuVendor::intel, "6.8.12-1-pve") == Tokens{"iommu=pt"});
    CHECK(needed_tokens(CpuVendor::amd, "5.15.1") == Tokens{"iommu=pt"});
    CHECK(missing_tokens({"intel_iommu=on", "iommu=pt"}, {"quiet", "intel_iommu=on,sm_on"}) ==
          Tokens{"iommu=pt"});
    CHECK(missing_tokens({"iommu=pt"}, {"iommu=off"}).empty());
    CHECK(append_tokens("root=ZFS=rpool/ROOT boot=zfs\nsecond\n", {"iommu=pt"}) ==
          "root=ZFS=rpool/ROOT boot=zfs iommu=pt\nsecond\n");
    CHECK(append_tokens("root=ZFS=rpool/ROOT boot=zfs", {"iommu=pt"}) ==
          "root=ZFS=rpool/ROOT boot=zfs iommu=pt\n");
    CHECK(parse_grub_defaults("#GRUB_CMDLINE_LINUX=\"no\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt\"\n"
                              "GRUB_CMDLINE_LINUX='a'\nGRUB_TIMEOUT=5\n") ==
          Tokens{"quiet", "iommu=pt", "a"});
    CHECK(parse_command_line("a  b=\"c d\" e\n") == Tokens{"a", "b=\"c d\"", "e"});
    CHECK(command_line_warnings({"quiet", "iommu=pt"}).empty());
    CHECK(command_line_warnings({"amd_iommu=on", "pcie_acs_override=downstream", "iommu=off"}).size() == 3);
    CHECK_FALSE(version_before("nonsense", {6, 8}));
}

TEST_CASE("the vendor is the first processor's")
{
    CHECK(parse_cpu_vendor("processor\t: 0\nvendor_id\t: GenuineIntel\n") == CpuVendor::intel);
    CHECK(parse_cpu_vendor("vendor_id\t: AuthenticAMD\n") == CpuVendor::amd);
    CHECK(parse_cpu_vendor("") == CpuVendor::other);
}

TEST_CASE("a difference is shown as diff -u shows it")
{
    CHECK(unified_diff("/etc/a", "x\n", "x\n").empty());
    CHECK(unified_diff("/etc/a", std::nullopt, "x\ny\n") ==
          "--- /dev/null\n+++ /etc/a\n@@ -0,0 +1,2 @@\n+x\n+y\n");
    CHECK(unified_diff("/etc/a", "x\n", std::nullopt) == "--- /etc/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
    CHECK(unified_diff("/etc/a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
          "--- /etc/a\n+++ /etc/a\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("where high availability may start a guest", "[install]")
{
    const std::string_view resources =
        "vm: 101\n\tgroup gpu\n\tstate started\n\nvm: 102\n\nct: 103\n\tstate ignored\n";
    CHECK_FALSE(ha_placement({resources, "", ""}, "vm:100"));
    CHECK_FALSE(ha_placement({resources, "", ""}, "ct:103"));
    REQUIRE(ha_placement({resources, "", ""}, "vm:102"));
    CHECK(ha_placement({resources, "", ""}, "vm:102")->nodes.empty());
    const std::string_view wish = "group: gpu\n\tnodes pve1:2,pve2\n";
    CHECK(ha_placement({resources, wish, ""}, "vm:101")->nodes.empty());
    const std::string_view strict = "group: gpu\n\tnodes pve1:2,pve2\n\trestricted 1\n";
    CHECK(ha_placement({resources, strict, ""}, "vm:101")->nodes == std::vector<std::string>{"pve1", "pve2"});
    const std::string_view rules =
        "node-affinity: one\n\tnodes pve1\n\tresources ct:103,vm:102\n\tstrict 1\n";
    CHECK(ha_placement({resources, "", rules}, "vm:102")->nodes == std::vector<std::string>{"pve1"});
    CHECK(ha_placement({resources, "", std::string(rules) + "\tdisable\n"}, "vm:102")->nodes.empty());
}

TEST_CASE("a container's root can be read where it is a directory on the host, and nowhere else")
{
    const auto storages =
        parse_storages("dir: local\n\tpath /var/lib/vz\n\tcontent rootdir\n\n"
                       "btrfs: ssd\n\tpath /mnt/ssd\n\tcontent-dirs images=guests\n\n"
                       "nfs: away\n\tpath /mnt/pve/away\n\tserver filer\n\texport /vz\n\n"
                       "zfspool: local-zfs\n\tpool rpool/data\n\n"
                       "zfspool: elsewhere\n\tpool tank\n\tmountpoint /mnt/tank\n\n"
                       "zfspool: odd\n\tpool ../etc\n\nlvmthin: local-lvm\n\tthinpool data\n");
    CHECK(tree_path(storages, "local-zfs:subvol-901-disk-0") == "/rpool/data/subvol-901-disk-0");
    CHECK(tree_path(storages, "elsewhere:subvol-901-disk-0") == "/mnt/tank/subvol-901-disk-0");
    CHECK(tree_path(storages, "local:901/subvol-901-disk-0.subvol") ==
          "/var/lib/vz/images/901/subvol-901-disk-0.subvol");
    CHECK(tree_path(storages, "ssd:901/subvol-901-disk-0.subvol") ==
          "/mnt/ssd/guests/901/subvol-901-disk-0.subvol");
    CHECK(tree_path(parse_storages(""), "local:901/x.subvol") == "/var/lib/vz/images/901/x.subvol");
    for (const auto* volume :
         {"local-zfs:vm-901-disk-0", "local-zfs:subvol-901-disk-0/../x", "odd:subvol-901-disk-0",
          "local-lvm:vm-901-disk-0", "local:901/vm-901-disk-0.raw", "gone:subvol-901-disk-0", "subvol-1", "",
          "local:../subvol-901-disk-0.subvol", "local:901/../x.subvol", "local:subvol-901-disk-0",
          "local:901/.subvol/x", "away:901/subvol-901-disk-0.subvol"})
        CHECK_FALSE(tree_path(storages, volume));
}
