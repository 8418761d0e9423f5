// Which of a mapping's cards Proxmox takes, where we have to have recovered that very one:
// choose_hostpci_devices and reserve_pci_usage in qemu-server's PCI.pm.
#include "catch.hpp"
#include "has.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machine/paths.hpp"
#include "machines.hpp"
#include "planned.hpp"
#include "recovery/recover_gpu.hpp"
#include "usage/claims.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string mapped = "hostpci0: mapping=gpu\n";
const std::string first = "0000:06:00.0";
const std::string second = "0000:07:00.0";

// The mapping 'gpu' has two cards, 06:00 and 07:00.
struct MappedHost : FakeSystem {
    explicit MappedHost(const std::string& driver_of_first = "nouveau")
    {
        add_two_mapped_slots(*this, driver_of_first);
    }

    RecoveryPlan plan(const std::string& guest)
    {
        add_guest(*this, 101, guest);
        return plan_start(*this);
    }
    // The cards that would be cycled; or why none will be.
    std::string outcome(const std::string& guest)
    {
        const auto plan = this->plan(guest);
        if (plan.refused) return to_string(plan.refused->reason) + ": " + to_string(plan.refused->advice);
        std::string in_scope;
        for (const auto& card : plan.cards)
            if (card.is_cycled())
                in_scope += (in_scope.empty() ? "" : " ") + to_string(card.functions.front().address());
        return in_scope;
    }
    void reserve(const std::string& text) { file(std::string(paths::pve_reservations), text); }
    void claim(unsigned vmid, const std::string& address)
    {
        const Process task{4711, 77};
        add_process(task.pid, "task UPID", {}, 1, task.start);
        file(paths::claim(vmid), print_claim({vmid, task, {*parse_pci_address(address)}}));
    }
};

} // namespace

TEST_CASE("a mapped card that a program of the host uses is taken by Proxmox, so the start is refused",
          "[plan][mapping]")
{
    MappedHost host;
    host.add_node(first, "drm/card0", "/dev/dri/card0", {226, 0});
    host.add_process(812, "plex", {{9, {"/dev/dri/card0", DeviceNumber{226, 0}}}});
    const auto outcome = host.outcome(mapped);
    CHECK(has(outcome, "in-use: "));
    CHECK(has(outcome, "plex"));
}

TEST_CASE("a mapped card that is open without a reservation of Proxmox's is no free one either",
          "[plan][mapping]")
{
    MappedHost host("vfio-pci");
    host.open_vfio(first, 4711, "qemu-system-x86");
    CHECK(has(host.outcome(mapped), "in-use: "));
}

TEST_CASE("a mapped card that Proxmox has reserved for another VM is passed over, until that has ended",
          "[plan][mapping]")
{
    MappedHost host;
    host.reserve(first + " 102 time:1700000015\n");
    CHECK(host.outcome(mapped) == second);
    host.advance(std::chrono::seconds(16));
    CHECK(host.outcome(mapped) == first);
    host.reserve(first + " 101 time:1900000000\n"); // its own
    CHECK(host.outcome(mapped) == first);
}

TEST_CASE("a mapped card that this hook prepared for another VM is passed over", "[plan][mapping]")
{
    MappedHost host;
    host.claim(102, first);
    CHECK(host.outcome(mapped) == second);
}

TEST_CASE("where every card of a mapping is spoken for, somebody who has one is named", "[plan][mapping]")
{
    MappedHost host;
    host.reserve(second + " 103 time:1900000000\n");
    host.claim(102, first);
    const auto outcome = host.outcome(mapped);
    CHECK(has(outcome, "in-use: "));
    CHECK(has(outcome, "VM 102"));
}

TEST_CASE("a reservation of another function of the group does not make Proxmox pass a mapped card over",
          "[plan][mapping]")
{
    MappedHost host;
    add_guest(host, 101, "");
    host.set_group(14, {first, "0000:06:00.1"});
    host.file("/etc/pve/mapping/pci.cfg",
              "gpu\n\tmap id=10de:2204,subsystem-id=1af4:1100,node=pve1,path=0000:06:00.0,iommugroup=14\n"
              "\tmap id=10de:2204,subsystem-id=1af4:1100,node=pve1,path=0000:07:00.0,iommugroup=15\n");
    host.reserve("0000:06:00.1 102 time:1900000000\n");
    CHECK(has(host.outcome(mapped), "in-use: "));
}

TEST_CASE("a mapping before a plain line takes its first card, and Proxmox then refuses the line",
          "[plan][mapping]")
{
    MappedHost host;
    const auto outcome = host.outcome(mapped + "hostpci1: 06:00\n");
    CHECK(has(outcome, "invalid-config: "));
    CHECK(has(outcome, "'hostpci0' and by 'hostpci1'"));
}

TEST_CASE("a mapping behind a plain line passes over the card of that line", "[plan][mapping]")
{
    MappedHost host;
    CHECK(host.outcome("hostpci0: 06:00\nhostpci1: mapping=gpu\n") == first + " " + second);
}

TEST_CASE("two lines with one mapping take its cards in the order of their numbers", "[plan][mapping]")
{
    MappedHost host;
    CHECK(host.outcome("hostpci1: mapping=gpu\nhostpci0: mapping=gpu\n") == first + " " + second);
    CHECK(host.plan(mapped + "hostpci1: mapping=gpu\n").devices.at(0).taken().functions.front() ==
          *parse_pci_address(first));
}

TEST_CASE("a guest whose second card runs elsewhere is told of that VM, not of its own first line",
          "[plan][mapping]")
{
    MappedHost host;
    host.reserve(second + " 102 time:1900000000\n");
    const auto outcome = host.outcome(mapped + "hostpci1: mapping=gpu\n");
    CHECK(has(outcome, "in-use: "));
    CHECK(has(outcome, "VM 102"));
}

TEST_CASE("two mediated devices of one card are no device that is named twice", "[plan][mapping]")
{
    MappedHost host;
    CHECK(host.outcome("hostpci0: 06:00\nhostpci1: 07:00.0,mdev=i915-GVTg_V5_4\n"
                       "hostpci2: 07:00.0,mdev=i915-GVTg_V5_8\n") == first);
    CHECK(host.outcome("hostpci0: 07:00.0,mdev=i915-GVTg_V5_4\nhostpci1: mapping=gpu\n"
                       "hostpci2: 07:00.1,mdev=x\nhostpci3: mapping=gpu\n") == first + " " + second);
}

TEST_CASE("a device that keeps its driver, or whose vGPU is NVIDIA's of sysfs, is named once",
          "[plan][mapping]")
{
    MappedHost host;
    const std::string card = "hostpci0: 06:00\n";
    const std::string vgpus = card + "hostpci1: 07:00.0,mdev=nvidia-63\nhostpci2: 07:00.0,mdev=nvidia-63\n";
    CHECK(has(host.outcome(card + "hostpci1: 07:00,driver=keep\nhostpci2: 07:00,driver=keep\n"),
              "invalid-config: '" + second + "' is named by 'hostpci1' and by 'hostpci2'"));
    CHECK(host.outcome(vgpus) == first); // mdev's own way
    host.file(paths::function(*parse_pci_address(second), "nvidia/current_vgpu_type"), "0\n");
    CHECK(has(host.outcome(vgpus),
              "invalid-config: '" + second + "' is named by 'hostpci1' and by 'hostpci2'"));
    CHECK(host.outcome("hostpci0: 06:00\nhostpci1: 07:00.0,mdev=i915-GVTg_V5_4\n"
                       "hostpci2: 07:00.0,mdev=i915-GVTg_V5_8\n") == first);
    host.file(paths::function(*parse_pci_address(second), "mdev_supported_types/nvidia-63/name"), "x\n");
    CHECK(host.outcome(vgpus) == first);
}

TEST_CASE("a mapping whose first card fell off the bus is looked for: Proxmox starts no guest without it",
          "[plan][mapping]")
{
    for (const auto& lost : {first, second}) {
        MappedHost host;
        host.falls_off_the_bus(lost);
        host.falls_off_the_bus(lost.substr(0, lost.size() - 1) + "1");
        add_guest(host, 101, mapped);
        const auto report = run_own_part(host, {.vmid = 101});
        CHECK(report.exit_status() == 0);
        CHECK(host.said("configured GPU missing; rescanning bus"));
        CHECK(host.driver_of(first) == "vfio-pci");
        CHECK(host.driver_of(second) == "nouveau");
    }
}

TEST_CASE("a mapping whose first card is gone for good is refused, and the mapping is named",
          "[plan][mapping]")
{
    MappedHost host;
    host.falls_off_the_bus(first);
    host.falls_off_the_bus("0000:06:00.1");
    host.function(first).never_comes_back();
    host.function("0000:06:00.1").never_comes_back();
    add_guest(host, 101, mapped);
    const auto report = run_own_part(host, {.vmid = 101});
    REQUIRE(report.plan.refused);
    CHECK(report.plan.refused->reason == ErrorKind::not_found);
    CHECK(has(report.errors.at(0).advice.fact, "'0000:06:00' (hostpci0)"));
    CHECK(host.resets(second) == 0);
}

TEST_CASE("a mapping that lists a device which the host never had is refused", "[plan][mapping]")
{
    MappedHost host;
    host.file("/etc/pve/mapping/pci.cfg",
              host.text("/etc/pve/mapping/pci.cfg") + "\n\tmap id=10de:2204,node=pve1,path=0000:99:00\n");
    const auto outcome = host.outcome(mapped);
    CHECK(has(outcome, "not-found: "));
    CHECK(has(outcome, "mapping 'gpu'"));
    CHECK(has(outcome, "'0000:99:00'"));
}

TEST_CASE("function 0 of a whole slot is looked for, whatever else is there", "[plan][mapping]")
{
    MappedHost host;
    host.falls_off_the_bus(second);
    CHECK(host.plan(mapped).search == std::vector{PciBus{0, 0x07}});
    CHECK(host.plan("hostpci0: 06:00\nhostpci1: 07:00\n").search == std::vector{PciBus{0, 0x07}});
}

TEST_CASE("a guest whose only device is not on the bus is told so", "[plan][mapping]")
{
    MappedHost host;
    const auto plan = host.plan("hostpci0: 0000:09:00.0\n");
    CHECK_FALSE(plan.refused); // it need not be a GPU
    CHECK(plan.warnings ==
          std::vector{
              Advice{"'hostpci0' names '0000:09:00.0', which is not on the PCI bus, and there is no port "
                     "that could have lost it",
                     "correct the line ('lspci' shows what is there)"}});
    CHECK(plan.nothing_to_do());
    CHECK(host.plan("hostpci0: 0000:09:00.0,mdev=x\n").warnings.empty());
}
