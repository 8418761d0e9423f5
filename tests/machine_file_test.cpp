// The fake machine against captures of real kernels: what tests/lab/capture and tests/lab/reactions printed.
#include "catch.hpp"
#include "machine/paths.hpp"
#include "machine_file.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string machines = TESTS_DIR "/machines/";

// "! PATH = text (Error)"
struct Write {
    std::string path, text, error;
};

Write parse_write(const std::string& line)
{
    const auto equals = line.find(" = ");
    Write write{line.substr(2, equals - 2), line.substr(equals + 3), ""};
    if (const auto error = write.text.find(" ("); error != std::string::npos) {
        write.error = write.text.substr(error + 2, write.text.size() - error - 3);
        write.text.resize(error);
    }
    return write;
}

bool ends_in_function(const std::string& path)
{
    return parse_pci_address(base_name(path)).has_value();
}

// The facts that the fake knows: which functions, drivers, groups and buses there are, and the attributes
// that a write changes. Not the inner life of native drivers, nor where the kernel puts a BAR.
bool is_modelled(const std::string& path)
{
    const auto directory = directory_of(path);
    if (directory == paths::pci_functions || directory == paths::pci_buses) return true;
    if (is_below(path, paths::iommu_groups) || is_below(path, paths::pci_drivers))
        return ends_in_function(path);
    const auto name = base_name(path);
    if (directory.ends_with("/power")) return name == "control" && ends_in_function(directory_of(directory));
    constexpr std::array<std::string_view, 12> names{
        "class",       "device", "driver", "driver_override", "drivers_autoprobe", "enable",
        "iommu_group", "remove", "reset",  "reset_method",    "reset_subordinate", "vendor"};
    return std::find(names.begin(), names.end(), name) != names.end() &&
           (ends_in_function(directory) || directory == "/sys/bus/pci");
}

struct Replay {
    FakeSystem machine;
    std::string write = "(none yet)"; // the last one, for messages

    explicit Replay(const std::string& kernel) : machine(kernel)
    {
        load_machine_file(machine, machines + "arc-" + kernel + ".machine");
        machine.register_first("vfio-pci");
    }

    void step(const std::string& line)
    {
        if (line.empty() || line[0] == '#') return;
        if (line[0] == '!') return perform(line);
        const auto path = line.substr(1, line.find(' ') - 1);
        if (!is_modelled(path) || is_count_of_bridge(path)) return;
        INFO("after " << write << ": " << line);
        CHECK(holds(line.substr(1)) == (line[0] == '+'));
    }

    // How many functions below have had it enabled is the kernel's own affair.
    bool is_count_of_bridge(const std::string& path) const
    {
        return path.ends_with("/enable") && machine.exists(directory_of(path) + "/pci_bus");
    }

    void perform(const std::string& line)
    {
        write = line.substr(2);
        const auto [path, text, error] = parse_write(line);
        const auto outcome = machine.write(path, text, Milliseconds(1000));
        INFO(write);
        CHECK((outcome.done() ? "" : std::strerror(outcome.error_number)) == error);
    }

    // Whether a line of the capture is true of the fake.
    bool holds(const std::string& fact) const
    {
        FakeSystem other;
        load_machine(other, fact);
        const auto path = fact.substr(0, fact.find(' '));
        const auto* wanted = other.tree().find_unfollowed(path);
        const auto* seen = machine.tree().find_unfollowed(path);
        return wanted != nullptr && seen != nullptr && wanted->kind == seen->kind &&
               wanted->text == seen->text;
    }
};

} // namespace

TEST_CASE("a captured machine is read as a topology")
{
    for (const auto* kernel : {"6.1", "6.12", "7.2"}) {
        FakeSystem machine(kernel);
        load_machine_file(machine, machines + "arc-" + kernel + ".machine");
        const auto topology = read_topology(machine, {address_of("0000:03:00.0")}, Milliseconds(1000));
        const auto& gpu = topology.at(address_of("0000:03:00.0"));
        CHECK(device_id(gpu) == "1234:1111");
        CHECK(gpu.driver == "bochs-drm");
        CHECK(gpu.reset_methods == std::vector<std::string>{"bus"});
        CHECK(gpu.above.size() == 3);
        CHECK(gpu.bars.size() == 2);
        CHECK(gpu.bars.at(1).size == 0x1000);
        CHECK(gpu.config->pcie == PcieType::endpoint);
        CHECK(topology.at(address_of("0000:00:1c.0")).config->pcie == PcieType::root_port);
        CHECK(topology.at(address_of("0000:01:00.0")).config->pcie == PcieType::switch_upstream);
        CHECK(topology.at(address_of("0000:02:01.0")).config->pcie == PcieType::switch_downstream);
        CHECK(topology.at(address_of("0000:00:1c.0")).has_reset_subordinate);
    }
}

TEST_CASE("the fake's config space has the bits that a real port has")
{
    FakeSystem machine("6.12");
    load_machine_file(machine, machines + "arc-6.12.machine");
    const auto config = *read_config_space(machine, address_of("0000:00:1c.0"), Milliseconds(1000));
    const auto fake =
        parse_config_space(fake_config(BridgeFacts{.link_width = config.link_width}, {0, 1, 5}));
    CHECK(fake.health == config.health);
    CHECK(fake.header_type == config.header_type);
    CHECK(fake.link_active_reported == config.link_active_reported);
}

TEST_CASE("the fake reacts to writes as the captured kernels did")
{
    for (const auto* kernel : {"6.12", "7.2"}) {
        Replay replay(kernel);
        std::ifstream lines(machines + "arc-" + kernel + ".reactions");
        REQUIRE(lines);
        for (std::string line; std::getline(lines, line);) replay.step(line);
        CHECK(replay.machine.writes().size() > 20);
    }
}

TEST_CASE("a machine file that cannot be read says where")
{
    FakeSystem machine;
    CHECK_THROWS_WITH(load_machine(machine, "# x\n/a = b\nnonsense\n"),
                      "line 3 of the machine is no fact: nonsense");
    CHECK_THROWS(load_machine_file(machine, "/nonexistent"));
    load_machine(machine, "/x/a = one\\ntwo\\\\n\\n\n/x/b = hex 00ff\n/x/c -> a\n/x/d has file\n/x/e =\n");
    CHECK(machine.tree().find("/x/c")->text == "one\ntwo\\n\n");
    CHECK(machine.tree().find("/x/b")->text == std::string("\x00\xff", 2));
    CHECK(machine.exists("/x/d"));
    CHECK_FALSE(machine.read("/x/d").has_value());
    CHECK(machine.read("/x/e") == "");
    load_machine(machine, "/x/f node b259:1\n/x/g has mode 755\n/x/d is absent\n");
    CHECK(machine.device_number("/x/f") == DeviceNumber{259, 1, true});
    CHECK(machine.file_facts("/x/g")->mode == 0755);
    CHECK_FALSE(machine.exists("/x/d"));
}
