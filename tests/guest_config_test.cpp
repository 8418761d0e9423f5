#include "proxmox/guest_config.hpp"

#include "catch.hpp"
#include "has.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

// The hosts of the one hostpci line in a text that must bring no warning.
std::vector<std::string> hosts_of(const std::string& line)
{
    const GuestConfig config = parse_guest_config(line);
    CHECK(config.warnings.empty());
    REQUIRE(config.hostpci.size() == 1);
    std::vector<std::string> hosts;
    for (const HostSelector& host : config.hostpci.front().hosts) hosts.push_back(host.text);
    return hosts;
}

HostPci device_of(const std::string& line)
{
    const GuestConfig config = parse_guest_config(line);
    REQUIRE(config.hostpci.size() == 1);
    return config.hostpci.front();
}

// The one warning of a text that gives no device.
std::string dropped(const std::string& line)
{
    const GuestConfig config = parse_guest_config(line);
    CHECK(config.hostpci.empty());
    REQUIRE(config.warnings.size() == 1);
    return to_string(config.warnings.front().advice);
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("the address of a hostpci line comes in every form")
{
    CHECK(hosts_of("hostpci0: 01:00.0") == Texts{"01:00.0"});
    CHECK(hosts_of("hostpci0: 0000:01:00.0") == Texts{"0000:01:00.0"});
    CHECK(hosts_of("hostpci0: 01:00") == Texts{"01:00"});
    CHECK(hosts_of("hostpci0: 10000:e1:00.0") == Texts{"10000:e1:00.0"});
    CHECK(hosts_of("hostpci0: host=01:00;01:00.1;02:00.0") == Texts{"01:00", "01:00.1", "02:00.0"});
    CHECK(hosts_of("hostpci0: pcie=1,x-vga=on,01:00") == Texts{"01:00"});
    CHECK(hosts_of("hostpci0:01:00.0  \t") == Texts{"01:00.0"});
}

TEST_CASE("slots above 1f and functions above 7 are Proxmox's to accept")
{
    CHECK(hosts_of("hostpci0: 1234:f0:43") == Texts{"1234:f0:43"});
    CHECK(hosts_of("hostpci0: 00:ff.f") == Texts{"00:ff.f"});
}

TEST_CASE("an upper-case address is dropped, as Proxmox drops it, with the spelling that works")
{
    const std::string warning = dropped("hostpci0: 0A:00.0,pcie=1");
    CHECK(has(warning, "upper-case hex digits in '0A:00.0', write '0a:00.0' instead"));
    CHECK(has(warning, "Proxmox drops this line and starts the VM without the device"));
}

TEST_CASE("a value that one key does not allow drops the whole line")
{
    for (const auto* value : {"0",
                              "1:0.0",
                              "01:00.",
                              "01:00.00",
                              "01:0",
                              "001:01:00",
                              "g1:00",
                              "01:00;",
                              ";01:00",
                              "01:00;;02:00",
                              "01:00; 02:00",
                              "host=01:00,mapping=x",
                              "01:00,pcie=2",
                              "01:00,pcie=1 ,rombar=1",
                              "01:00,rombar=maybe",
                              "01:00,x-vga=",
                              "01:00,legacy-igd=-1",
                              "01:00,romfile=a;b",
                              "01:00,mdev=a/b",
                              "01:00,mdev=a.b",
                              "01:00,mdev=a:b",
                              "01:00,vendor-id=8086",
                              "01:00,device-id=0x56A",
                              "01:00,sub-vendor-id=0x56a6a",
                              "01:00,sub-device-id=0xghij",
                              "01:00,driver=vfio-pci",
                              "01:00,driver=",
                              "01:00,multifunction=on",
                              "01:00,Pcie=1",
                              "01:00, pcie=1",
                              "01:00,01:00",
                              "mapping=1gpu",
                              "mapping=g",
                              "mapping=gpu.main"})
        CHECK(has(dropped(std::string("hostpci0: ") + value), "hostpci0: "));
}

TEST_CASE("every key that Proxmox knows is accepted")
{
    const HostPci device =
        device_of("hostpci3: host=01:00,rombar=0,romfile=../x y.rom,pcie=yes,x-vga=TRUE,legacy-igd=no,"
                  "mdev=i915-GVTg_V5_4,vendor-id=0x8086,device-id=0x56A6,sub-vendor-id=0x1849,"
                  "sub-device-id=0xABCD,driver=keep");
    CHECK(device.index == 3);
    CHECK(device.key() == "hostpci3");
    CHECK(device.mdev == "i915-GVTg_V5_4");
    CHECK(device.keep_driver);
    CHECK_FALSE(device.start_error);
}

TEST_CASE("driver=vfio is the same as no driver")
{
    CHECK_FALSE(device_of("hostpci0: 01:00,driver=vfio").keep_driver);
    CHECK_FALSE(device_of("hostpci0: 01:00").keep_driver);
}

TEST_CASE("a mapping is named instead of an address")
{
    const HostPci device = device_of("hostpci0: mapping=Gpu-main_1,pcie=1");
    CHECK(device.mapping == "Gpu-main_1");
    CHECK(device.hosts.empty());
    CHECK_FALSE(device.start_error);
}

TEST_CASE("what the file may say and the start dies of is kept, with the reason")
{
    CHECK(has(to_string(*device_of("hostpci0: 01:00,mapping=gpu").start_error), "both 'host' and 'mapping'"));
    CHECK(has(to_string(*device_of("hostpci0: pcie=1").start_error), "neither 'host' nor 'mapping'"));
    CHECK(has(to_string(*device_of("hostpci0: 01:00.0;01:00.1,mdev=nvidia-12").start_error), "mediated"));
}

TEST_CASE("a mediated device of the type 0 is a plain device for Proxmox")
{
    CHECK_FALSE(device_of("hostpci0: 01:00,mdev=0").mdev);
    CHECK_FALSE(device_of("hostpci0: 01:00.0;01:00.1,mdev=0").start_error);
    CHECK(device_of("hostpci0: 01:00,mdev=00").mdev == "00");
}

TEST_CASE("a value of one blank is a device without an address")
{
    CHECK(device_of("hostpci0: ").start_error);
    CHECK(device_of("hostpci0:  \t ").start_error);
    CHECK(has(dropped("hostpci0:"), "cannot read"));
    CHECK(has(dropped("hostpci0:\r"), "line feed"));
    CHECK(has(dropped("hostpci0: \r"), "line feed"));
}

TEST_CASE("devices come in the order of N, whatever the order of the lines")
{
    const GuestConfig config =
        parse_guest_config("hostpci10: 0a:00\nhostpci2: 02:00\nhostpci0: 01:00\nhostpci15: 0f:00\n");
    std::vector<unsigned> indices;
    for (const HostPci& device : config.hostpci) indices.push_back(device.index);
    CHECK(indices == std::vector<unsigned>{0, 2, 10, 15});
    CHECK(config.hostpci.front().line == 3);
}

TEST_CASE("only hostpci0 to hostpci15 are settings")
{
    for (const auto* key :
         {"hostpci16", "hostpci01", "hostpci", "hostpci00", "hostpci_0", "hostpci4294967296"})
        CHECK(has(dropped(std::string(key) + ": 01:00"), "unknown setting '" + std::string(key) + "'"));
}

TEST_CASE("the last valid line of a key counts")
{
    CHECK(device_of("hostpci0: 01:00\nhostpci0: 02:00\n").hosts.front().text == "02:00");

    const GuestConfig config = parse_guest_config("hostpci0: 01:00\nhostpci0: 0A:00\n");
    REQUIRE(config.hostpci.size() == 1);
    CHECK(config.hostpci.front().hosts.front().text == "01:00");
    REQUIRE(config.warnings.size() == 1);
    CHECK(config.warnings.front().line == 2);
    CHECK(has(config.warnings.front().advice.remedy, "uses that of line 1"));
}

TEST_CASE("a later line of a key replaces all of the earlier one")
{
    const HostPci device = device_of("hostpci0: 01:00,mdev=a,driver=keep\nhostpci0: mapping=gpu\n");
    CHECK(device.hosts.empty());
    CHECK_FALSE(device.mdev);
    CHECK_FALSE(device.keep_driver);
}

TEST_CASE("keys stand in column 0, in lower case, right before the colon")
{
    for (const auto* line :
         {" hostpci0: 01:00", "HostPCI0: 01:00", "hostpci0 : 01:00", "hostpci0 01:00", "hostpci0=01:00",
          "\xef\xbb\xbfhostpci0: 01:00", "hostpci0a: 01:00", "[foo", "[foo] x", ": x", "0: x"})
        CHECK(has(dropped(line), "cannot read and ignores the line"));
}

TEST_CASE("only the part before the first section header is the live configuration")
{
    for (const auto* header :
         {"[PENDING]", "[pending]", "[snap1]", "[special:cloudinit]", "[special:fleecing]",
          "[special:unknown]", "[]", "[a b]", "[[x]", "[snap]  \r", "[:3]", "[x]\t"})
        CHECK(parse_guest_config(std::string("hostpci0: 01:00\n") + header + "\nhostpci1: 02:00\n")
                  .hostpci.size() == 1);
}

TEST_CASE("a bracket that is not closed, or not at the start, is no header")
{
    for (const auto* line : {"[foo", "[foo] bar", " [foo]", "#[foo]", "x: [foo]"})
        CHECK(parse_guest_config(std::string(line) + "\nhostpci0: 01:00\n").hostpci.size() == 1);
}

TEST_CASE("descriptions may look like anything")
{
    const GuestConfig config =
        parse_guest_config("#hostpci0: 01:00\n# [PENDING]\n##\n#\ndescription: hostpci1: x\n");
    CHECK(config.hostpci.empty());
    CHECK(config.warnings.empty());
}

TEST_CASE("args may look like anything")
{
    const GuestConfig config = parse_guest_config("args: -device vfio-pci,host=01:00.0\n");
    CHECK(config.hostpci.empty());
    CHECK(config.warnings.empty());
}

TEST_CASE("a line that ends in a snapshot state is that, whatever its key")
{
    CHECK(parse_guest_config("hostpci0: mapping=snapstate:prepare\n").hostpci.empty());
    CHECK(parse_guest_config("hostpci0: 01:00,snapstate: \t delete \r\n").warnings.empty());
    CHECK(parse_guest_config("hostpci0: 01:00,romfile=snapstate:deleted\n").hostpci.size() == 1);
}

TEST_CASE("delete belongs in the pending section")
{
    CHECK(has(dropped("delete: hostpci0"), "[PENDING]"));
}

TEST_CASE("CRLF, blank lines and a missing last line end do no harm")
{
    const GuestConfig config =
        parse_guest_config("# x\r\n\r\nhostpci0: 01:00,pcie=1\r\n \t\r\ntemplate: 1\r\nhostpci1: 02:00");
    CHECK(config.hostpci.size() == 2);
    CHECK(config.is_template);
    CHECK(config.warnings.empty());
}

TEST_CASE("a carriage return inside of a value drops the line")
{
    CHECK(has(dropped("hostpci0: 01:00\r,pcie=1"), "line feed"));
}

TEST_CASE("a template is one by any spelling of true, and stays one if a later line is not valid")
{
    for (const auto* value : {"1", "on", "YES", "true"})
        CHECK(parse_guest_config(std::string("template: ") + value).is_template);
    for (const auto* value : {"0", "off", "no", "False"})
        CHECK_FALSE(parse_guest_config(std::string("template: ") + value).is_template);
    const GuestConfig config = parse_guest_config("template: 1\ntemplate: maybe\n");
    CHECK(config.is_template);
    CHECK(config.warnings.size() == 1);
    CHECK_FALSE(parse_guest_config("template: 1\ntemplate: 0\n").is_template);
}

TEST_CASE("a lock is any text, without quotes around it")
{
    CHECK(parse_guest_config("lock: backup").lock == "backup");
    CHECK(parse_guest_config("lock: \"backup\"").lock == "backup");
    CHECK(parse_guest_config("lock: \"").lock == "\"");
    CHECK(parse_guest_config("").lock.empty());
}

TEST_CASE("a hookscript is a volume id, and quotes make it none")
{
    CHECK(parse_guest_config("hookscript: local:snippets/pve-gpu-hook").hookscript ==
          "local:snippets/pve-gpu-hook");
    for (const auto* value :
         {"\"local:snippets/x\"", "/var/lib/x", "l:x", "local:", "loc al:x", "1ocal:x", "local-:x"}) {
        const GuestConfig config = parse_guest_config(std::string("hookscript: ") + value);
        CHECK(config.hookscript.empty());
        CHECK(config.warnings.size() == 1);
    }
}

TEST_CASE("settings that do not concern us are left alone, valid or not")
{
    CHECK(parse_guest_config("cores: many\nnet0: virtio=AA:BB,bridge=vmbr0\nnosuchkey: 1\nunused0: x\n")
              .warnings.empty());
}

TEST_CASE("a warning shows no control characters and is not longer than a line")
{
    const std::string warning = dropped("\x1b[2J" + std::string(100000, 'x'));
    CHECK(has(warning, "'\\x1b[2Jxxx"));
    CHECK(warning.size() < 200);
}

TEST_CASE("Proxmox takes every function whose name begins with the text, in domain 0000 or as written")
{
    const auto matches = [](const std::string& text, std::string_view name) {
        return HostSelector{text}.matches(name);
    };
    CHECK(matches("01:00", "0000:01:00.0"));
    CHECK(matches("01:00", "0000:01:00.7"));
    CHECK(matches("0000:01:00", "0000:01:00.1"));
    CHECK(matches("01:00.0", "0000:01:00.0"));
    CHECK(matches("1234:f0:43", "1234:f0:43.0"));
    CHECK_FALSE(matches("01:00.0", "0000:01:00.1"));
    CHECK_FALSE(matches("01:00", "0001:01:00.0"));
    CHECK_FALSE(matches("01:00", "10000:01:00.0"));
    CHECK_FALSE(matches("0001:01:00", "0000:01:00.0"));
    CHECK_FALSE(matches("00:01", "0000:01:00.0"));
}

// The odd files: each NAME.conf is read, and what came of it stands in NAME.conf.parsed.
namespace {

std::string read_file(const std::filesystem::path& path)
{
    std::ifstream stream(path, std::ios::binary);
    REQUIRE(stream);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

void describe(std::ostream& out, const HostPci& device)
{
    out << device.key() << " (line " << device.line << ")";
    for (const HostSelector& host : device.hosts) out << " host " << host.text;
    if (device.mapping) out << " mapping " << *device.mapping;
    if (device.mdev) out << " mdev " << *device.mdev;
    if (device.keep_driver) out << " driver kept";
    if (device.start_error) out << " start dies: " << to_string(*device.start_error);
    out << "\n";
}

std::string describe(const GuestConfig& config)
{
    std::ostringstream out;
    for (const HostPci& device : config.hostpci) describe(out, device);
    if (config.is_template) out << "template\n";
    if (!config.lock.empty()) out << "lock " << config.lock << "\n";
    if (!config.hookscript.empty()) out << "hookscript " << config.hookscript << "\n";
    for (const ConfigWarning& warning : config.warnings)
        out << "warning, line " << warning.line << ": " << to_string(warning.advice) << "\n";
    return out.str();
}

} // namespace

TEST_CASE("the odd configuration files are read as Proxmox reads them")
{
    const auto directory = std::filesystem::path(TESTS_DIR) / "configs";
    unsigned count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() != ".conf") continue;
        INFO(entry.path().string());
        const std::string text = read_file(entry.path());
        CHECK(text.rfind("# TEST: ", 0) == 0);
        CHECK(describe(parse_guest_config(text)) == read_file(entry.path().string() + ".parsed"));
        ++count;
    }
    CHECK(count >= 8);
}
