#include "catch.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/lxc_config.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace pvegpu;

namespace {

std::string read_file(const std::filesystem::path& path)
{
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

void describe(std::ostream& out, const char* word, const LxcDevice& device)
{
    out << word << " " << device.key << " (line " << device.line << ") ";
    if (device.start_error)
        out << "start dies: " << *device.start_error << "\n";
    else
        out << device.path << "\n";
}

void describe(std::ostream& out, const WantedNode& wanted)
{
    out << "wants " << wanted.node.path << " by " << wanted.from << " (line " << wanted.line << ")";
    if (wanted.node.number) out << " number " << *wanted.node.number;
    if (wanted.node.address) out << " of " << to_string(*wanted.node.address);
    if (wanted.in_guest != wanted.node.path) out << " as " << wanted.in_guest;
    if (wanted.optional) out << " optional";
    out << "\n";
}

void describe(std::ostream& out, const LxcAllow& allow)
{
    const auto number = [](const std::optional<unsigned>& value) {
        return value ? std::to_string(*value) : std::string("*");
    };
    out << "allows (line " << allow.line << ") ";
    if (allow.everything)
        out << "everything\n";
    else
        out << (allow.block ? "b " : "c ") << number(allow.major) << ":" << number(allow.minor) << "\n";
}

std::string describe(const LxcConfig& config)
{
    std::ostringstream out;
    for (const auto& device : config.devices) describe(out, "live", device);
    for (const auto& device : config.devices_at_next_start()) describe(out, "next start", device);
    for (const auto& wanted : wanted_nodes(config)) describe(out, wanted);
    for (const auto& allow : config.allowed) describe(out, allow);
    if (config.is_template) out << "template\n";
    if (!config.hookscript.empty()) out << "hookscript " << config.hookscript << "\n";
    for (const auto& warning : config.warnings)
        out << "warning, line " << warning.line << ": " << to_string(warning.advice) << "\n";
    return out.str();
}

} // namespace

TEST_CASE("the odd configuration files of containers are read as Proxmox reads them", "[ct]")
{
    unsigned count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(TESTS_DIR) + "/configs/lxc")) {
        if (entry.path().extension() != ".conf") continue;
        INFO(entry.path().string());
        const auto golden = entry.path().string() + ".parsed";
        const auto text = read_file(entry.path());
        CHECK(text.starts_with("# TEST: "));
        const auto parsed = describe(parse_lxc_config(text));
        if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(golden) << parsed;
        CHECK(parsed == read_file(golden));
        ++count;
    }
    CHECK(count >= 4);
}

TEST_CASE("a container's configuration with line ends of Windows is read the same", "[ct]")
{
    const auto config = parse_lxc_config("dev0: /dev/nvidia0\r\nlxc.mount.entry: /dev/kfd dev/kfd none "
                                         "bind,optional\r\n[pve:pending]\r\ndev1: /dev/nvidiactl\r\n");
    REQUIRE(config.devices.size() == 1);
    CHECK(config.devices[0].path == "/dev/nvidia0");
    REQUIRE(config.mounts.size() == 1);
    CHECK(config.mounts[0].optional);
    CHECK(config.pending.size() == 1);
}

TEST_CASE("device nodes of GPUs are told from others by their names", "[ct]")
{
    for (const auto* path :
         {"/dev/nvidia0", "/dev/nvidia15", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools",
          "/dev/nvidia-modeset", "/dev/nvidia-caps/nvidia-cap2", "/dev/nvidia-caps", "/dev/dri", "/dev/dri/",
          "/dev/dri/card0", "/dev/dri/renderD128", "/dev/kfd", "/dev/dri/by-path/pci-0000:03:00.0-render"})
        CHECK(parse_gpu_node(path));
    for (const auto* path :
         {"/dev/nvidia", "/dev/nvidia00", "/dev/nvidia-1", "/dev/nvidia0x", "/dev/drin",
          "/dev/dri/controlD64", "/dev/ttyUSB0", "/dev/nvidia/../sda", "nvidia0", "",
          "/dev/dri/by-path/pci-0000:03:00.0", "/dev/dri/by-path/platform-x-card", "/dev/nvidia99999999999"})
        CHECK_FALSE(parse_gpu_node(path));
}

TEST_CASE("a node that two lines name is wanted once, by the line that Proxmox manages", "[ct]")
{
    const auto config = parse_lxc_config("lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional\n"
                                         "dev0: /dev/nvidia0\n");
    const auto wanted = wanted_nodes(config);
    REQUIRE(wanted.size() == 1);
    CHECK(wanted[0].from == "dev0");
    CHECK(wanted[0].by_proxmox);
}

TEST_CASE("devN lines are read as the installed pve-container reads them")
{
    const std::string text = "dev0: /dev/dri/renderD128,deny-write=1\n[pve:pending]\ndev1: /dev/kfd\n";
    for (const auto* version : {"", "5.2.0", "5.2.0~1", "6.1.10", "unreadable"}) {
        const auto config = parse_lxc_config(text, {version});
        CHECK(config.devices.size() == 1);
        CHECK_FALSE(config.devices.front().start_error);
        CHECK(config.warnings.empty());
    }
    for (const auto* version : {"5.0.7", "5.0.7~pve1", "5.1.12"}) {
        const auto config = parse_lxc_config(text, {version});
        CHECK(config.devices.size() == 1);
        CHECK(config.devices.front().start_error);
        CHECK(config.devices.front().value_without("deny-write") == "/dev/dri/renderD128");
        CHECK_FALSE(config.pending.front().start_error);
    }
    for (const auto* version : {"5.0.6", "5.0.4+deb12u1", "4.4-3"}) {
        const auto config = parse_lxc_config(text, {version});
        CHECK(config.devices_at_next_start().empty());
        CHECK(config.warnings.size() == 2);
        for (const auto& warning : config.warnings) CHECK(warning.loses_device);
    }
}
