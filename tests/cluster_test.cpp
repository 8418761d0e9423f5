// Guests of other nodes: for whom a node is prepared, and which of them would start on it.
#include "base/error.hpp"
#include "catch.hpp"
#include "check/prospects.hpp"
#include "commands/commands.hpp"
#include "has.hpp"
#include "host/prepared.hpp"
#include "install_hosts.hpp"
#include "machine/paths.hpp"
#include "printed_console.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string modprobe(paths::modprobe);
constexpr const char *arc_ids = "8086:56a6", *nvidia_ids = "10de:2204";

// Node pve1 of two, with an Arc card and two NVIDIA cards that the mapping 'gpu' names; VM 101 has the Arc
// card.
struct Cluster {
    FakeSystem machine{"6.14.8-2-pve"};
    Printed console;

    explicit Cluster(const std::string& driver = "i915")
    {
        add_arc(machine, {.driver = driver});
        add_two_mapped_slots(machine);
        add_host(machine);
        join_cluster(machine);
        add_vm(machine, 101, "machine: q35\nhostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n");
    }

    void add_elsewhere(unsigned vmid, const std::string& lines, const std::string& node = "pve2",
                       const std::string& type = "qemu")
    {
        const auto directory = type == "lxc" ? "/lxc/" : "/qemu-server/";
        machine.file("/etc/pve/nodes/" + node + directory + std::to_string(vmid) + ".conf", lines);
        auto list = machine.text("/etc/pve/.vmlist");
        list.insert(list.rfind("}}"), ",\"" + std::to_string(vmid) + R"(": { "node": ")" + node +
                                          R"(", "type": ")" + type + "\" }");
        machine.file("/etc/pve/.vmlist", list);
    }

    int run(int (*command)(Session&), Options options)
    {
        options.yes = true;
        Session session{machine, console, std::move(options)};
        const int status = command(session);
        document = session.document;
        return status;
    }

    bool prepared_for(std::string_view ids) const
    {
        return machine.read(modprobe).value_or("").find(ids) != std::string::npos;
    }

    Json document;
};

const Prospect& prospect(const Prospects& prospects, unsigned vmid)
{
    for (const auto& one : prospects.guests)
        if (one.id.vmid == vmid) return one;
    throw std::runtime_error("no prospect of that guest");
}

std::string in_the_way(const FakeSystem& machine, unsigned vmid)
{
    std::string text;
    const auto prospects = read_prospects(machine, {});
    for (const auto& advice : prospect(prospects, vmid).in_the_way) text += to_string(advice) + "\n";
    return text;
}

} // namespace

TEST_CASE("a node is prepared for a VM of another node whose mappings have entries of this one", "[install]")
{
    Cluster cluster;
    cluster.add_elsewhere(102, "hostpci0: mapping=gpu,pcie=1\n");
    cluster.run(install, {.host = true});
    CHECK(cluster.prepared_for(arc_ids));
    CHECK(cluster.prepared_for(nvidia_ids));
    CHECK(cluster.machine.said("the host is prepared for VM 102 of the node 'pve2', too"));
    CHECK(hookscript_of(cluster.machine, 101).empty());
}

TEST_CASE("a node is not prepared for a VM that cannot come to it", "[install]")
{
    const auto [title, line, ha] =
        GENERATE(std::tuple{"an address is another node's", "hostpci0: 0000:06:00,pcie=1\n", ""},
                 std::tuple{"a template never starts", "hostpci0: mapping=gpu\ntemplate: 1\n", ""},
                 std::tuple{"no such mapping", "hostpci0: mapping=other\n", ""},
                 std::tuple{"high availability keeps it there", "hostpci0: mapping=gpu\n",
                            "node-affinity: n\n\tresources vm:102\n\tnodes pve2\n\tstrict 1\n"});
    INFO(title);
    Cluster cluster;
    cluster.add_elsewhere(102, line);
    cluster.machine.file("/etc/pve/ha/resources.cfg", "vm: 102\n\tstate started\n");
    cluster.machine.file("/etc/pve/ha/rules.cfg", ha);
    cluster.run(install, {.host = true});
    CHECK(cluster.prepared_for(arc_ids));
    CHECK_FALSE(cluster.prepared_for(nvidia_ids));
}

TEST_CASE("high availability that names this node says that an address is meant here too", "[install]")
{
    Cluster cluster;
    cluster.add_elsewhere(102, "hostpci0: 0000:06:00,pcie=1\n");
    cluster.machine.file("/etc/pve/ha/resources.cfg", "vm: 102\n\tstate started\n");
    cluster.machine.file("/etc/pve/ha/rules.cfg",
                         "node-affinity: n\n\tresources vm:102\n\tnodes pve1,pve2\n\tstrict 1\n");
    cluster.run(install, {.host = true});
    CHECK(has(cluster.machine.text(std::string(paths::udev_rules)), "0000:06:00.0")); // 07:00.0 has its ids
}

TEST_CASE("what a host was prepared for stays when a guest is attached later", "[install]")
{
    Cluster cluster;
    SECTION("a VM of another node")
    {
        cluster.add_elsewhere(102, "hostpci0: mapping=gpu,pcie=1\n");
        cluster.run(install, {.host = true});
    }
    SECTION("a VM of this node that was named")
    {
        add_vm(cluster.machine, 102, "hostpci0: mapping=gpu,pcie=1\n");
        cluster.run(install, {.vms = {102}, .host = true});
    }
    SECTION("every VM of this node")
    {
        add_vm(cluster.machine, 102, "hostpci0: mapping=gpu,pcie=1\n");
        cluster.run(install, {.host = true});
    }
    const auto before = cluster.machine.text(modprobe);
    cluster.run(install, {.vms = {101}});
    CHECK(hookscript_of(cluster.machine, 101) == "local:snippets/pve-gpu-hook");
    CHECK(cluster.prepared_for(nvidia_ids));
    cluster.run(install, {.host = true});
    CHECK(cluster.document["changed"] == false);
    cluster.run(install, {.vms = {101}});
    CHECK(cluster.document["changed"] == false);
    CHECK(has(before, nvidia_ids));
    cluster.run(uninstall, {});
    CHECK_FALSE(cluster.machine.exists(modprobe));
}

TEST_CASE("a VM that is detached counts no longer among those that the host is prepared for", "[install]")
{
    Cluster cluster;
    add_vm(cluster.machine, 102, "hostpci0: mapping=gpu,pcie=1\n");
    cluster.run(install, {.vms = {102}, .host = true});
    cluster.run(detach, {.vms = {102}});
    cluster.run(install, {.vms = {101}});
    CHECK_FALSE(cluster.prepared_for(nvidia_ids));
}

TEST_CASE("a record that cannot be read prepares for nobody, and keeps no look at the host", "[install]")
{
    Cluster cluster;
    const auto text = GENERATE(as<std::string>(), "", "[]", R"({"prepared": 7})",
                               R"({"prepared": {"vms": [-1], "every_vm": true}})",
                               R"({"prepared": {"vms": [1e30], "every_vm": true}})");
    cluster.machine.file(std::string(paths::install_manifest), text);
    CHECK(read_prepared(cluster.machine) == Prepared{});
    CHECK(cluster.run(status, {}) == exit_done);
}

TEST_CASE("a guest of another node is looked at as if it were here", "[check]")
{
    Cluster cluster;
    cluster.run(install, {.vms = {101}});
    const auto on = "machine: q35\nhookscript: local:snippets/pve-gpu-hook\nname: media\n";
    cluster.add_elsewhere(102, std::string("hostpci0: mapping=gpu,pcie=1\n") + on);
    cluster.add_elsewhere(103, std::string("hostpci0: mapping=other,pcie=1\n") + on);
    cluster.add_elsewhere(104, std::string("hostpci0: 0000:42:00.0,pcie=1\n") + on);
    cluster.add_elsewhere(105, "name: plain\n");
    cluster.add_elsewhere(106, "hostpci0: mapping=gpu\ntemplate: 1\n");
    cluster.add_elsewhere(107, "dev0: /dev/dri/renderD128\n", "pve2", "lxc");
    cluster.add_elsewhere(108, "hostpci0: mapping=gpu\nhookscript: local:snippets/other.pl\n");
    const auto prospects = read_prospects(cluster.machine, {});
    std::vector<unsigned> vmids;
    for (const auto& one : prospects.guests) vmids.push_back(one.id.vmid);
    CHECK(prospects.node == "pve1");
    CHECK(vmids == std::vector<unsigned>{101, 102, 103, 104, 107, 108});
    CHECK(prospect(prospects, 102).name == "media");
    CHECK(prospect(prospects, 102).node == "pve2");
    CHECK(in_the_way(cluster.machine, 101) == "");
    CHECK(in_the_way(cluster.machine, 102) == "");
    CHECK(has(in_the_way(cluster.machine, 103), "/etc/pve/nodes/pve2/qemu-server/103.conf"));
    CHECK(has(in_the_way(cluster.machine, 103), "'other'"));
    CHECK(has(in_the_way(cluster.machine, 104), "0000:42:00.0"));
    CHECK(has(in_the_way(cluster.machine, 107), "/dev/dri/renderD128"));
    CHECK(has(in_the_way(cluster.machine, 108), "other.pl"));
}

TEST_CASE("a guest of another node does not start here while another has its card, or high availability "
          "keeps it away",
          "[check]")
{
    Cluster cluster("vfio-pci");
    cluster.add_elsewhere(102, "machine: q35\nhostpci0: 0000:03:00.0,pcie=1\n");
    CHECK(in_the_way(cluster.machine, 102) == "");
    SECTION("its card is in use")
    {
        cluster.machine.open_vfio("0000:03:00.0", 4711, "kvm", 101);
        cluster.machine.file("/run/qemu-server/101.pid", "4711\n");
        CHECK(has(in_the_way(cluster.machine, 102), "VM 101"));
    }
    SECTION("high availability")
    {
        cluster.machine.file("/etc/pve/ha/resources.cfg", "vm: 102\n\tstate started\n");
        cluster.machine.file("/etc/pve/ha/rules.cfg",
                             "node-affinity: n\n\tresources vm:102\n\tnodes pve2\n\tstrict 1\n");
        CHECK(has(in_the_way(cluster.machine, 102), "high availability starts it on 'pve2' only"));
    }
}

TEST_CASE("check --cluster answers for every guest or for those that are named", "[check]")
{
    Cluster cluster;
    cluster.add_elsewhere(102, "hostpci0: mapping=other,pcie=1\nname: games\n");
    CHECK(cluster.run(check, {.cluster = true}) == exit_done);
    REQUIRE(cluster.document["guests"].size() == 2);
    CHECK(cluster.document["schema"] == "pve-gpu-hook/prospects/1");
    CHECK(cluster.document["node"] == "pve1");
    CHECK(cluster.document["guests"][0]["starts"] == true);
    CHECK(cluster.document["guests"][1]["starts"] == false);
    CHECK(cluster.document["guests"][1]["node"] == "pve2");
    CHECK(cluster.document["guests"][1]["name"] == "games");
    CHECK(has(cluster.console.text, "VM 102, games, now on 'pve2': would not start on 'pve1'"));
    cluster.run(check, {.vms = {102}, .cluster = true});
    CHECK(cluster.document["guests"].size() == 1);
    CHECK_THROWS_AS(cluster.run(check, {.vms = {777}, .cluster = true}), Error);
}

TEST_CASE("check of one guest of another node says where it is and what its start here would meet", "[check]")
{
    Cluster cluster;
    cluster.add_elsewhere(102, "hostpci0: mapping=gpu,pcie=1\n");
    cluster.run(check, {.vms = {102}});
    CHECK(has(cluster.console.text, "VM 102 is on the node 'pve2'"));
    CHECK(has(cluster.console.text, "/etc/pve/nodes/pve2/qemu-server/102.conf"));
    CHECK_THROWS_AS(cluster.run(check, {.vms = {103}}), Error);
}
