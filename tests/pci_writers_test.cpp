// Stacks and wait channels as they were seen on 6.12.117 with a vfio device that a process had open.
#include "catch.hpp"
#include "fake_system.hpp"
#include "machine/bounded_child.hpp"
#include "usage/pci_writers.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string from_write = "[<0>] kernfs_fop_write_iter+0x12f/0x210\n"
                               "[<0>] vfs_write+0x28f/0x450\n"
                               "[<0>] ksys_write+0x6f/0xf0\n"
                               "[<0>] do_syscall_64+0x87/0x1b0\n"
                               "[<0>] entry_SYSCALL_64_after_hwframe+0x76/0x7e\n";
const std::string waiting_for_vfio = "[<0>] vfio_unregister_group_dev+0x9a/0xf0 [vfio]\n"
                                     "[<0>] vfio_pci_core_unregister_device+0x1d/0xb0 [vfio_pci_core]\n"
                                     "[<0>] vfio_pci_remove+0x19/0x30 [vfio_pci]\n"
                                     "[<0>] pci_device_remove+0x40/0xa0\n"
                                     "[<0>] device_release_driver_internal+0x161/0x200\n";
const std::string unbinding = waiting_for_vfio + "[<0>] unbind_store+0xa1/0xb0\n" + from_write;
const std::string removing = waiting_for_vfio +
                             "[<0>] pci_stop_bus_device+0x81/0xb0\n"
                             "[<0>] pci_stop_and_remove_bus_device_locked+0x1a/0x30\n"
                             "[<0>] remove_store+0x85/0xa0\n" +
                             from_write;

struct Host : FakeSystem {
    // Whether a task in that state is found; and as what.
    std::vector<PciWriter> with(char state, const std::string& wchan, const std::string& stack)
    {
        add_process(329, "sh");
        set_task_state(329, state, wchan, stack);
        return find_pci_writers(*this);
    }
};

} // namespace

TEST_CASE("an idle host has no PCI writers")
{
    CHECK(find_pci_writers(FakeSystem()).empty());
}

TEST_CASE("write to unbind while the vfio device is open: asleep at first, uninterruptible after SIGKILL")
{
    for (const auto state : {'S', 'D'}) {
        const auto found = Host().with(state, "vfio_unregister_group_dev", unbinding);
        REQUIRE(found.size() == 1);
        CHECK(found[0].pid == 329);
        CHECK(found[0].program == "sh");
        CHECK(found[0].where == "unbind_store");
        CHECK(found[0].stuck);
    }
}

TEST_CASE("write to remove while open is stuck; who waits for its lock is not")
{
    const auto first = Host().with('S', "vfio_unregister_group_dev", removing);
    REQUIRE(first.size() == 1);
    CHECK(first[0].where == "remove_store");
    CHECK(first[0].stuck);
    const auto second =
        Host().with('D', "bus_rescan_store", "[<0>] bus_rescan_store+0x68/0xc0\n" + from_write);
    REQUIRE(second.size() == 1);
    CHECK(second[0].where == "bus_rescan_store");
    CHECK_FALSE(second[0].stuck);
}

TEST_CASE("a kernel that counts wait_woken as no function of the scheduler")
{
    CHECK(Host().with('S', "wait_woken", "[<0>] wait_woken+0x54/0x70\n" + removing).size() == 1);
    CHECK(Host().with('S', "wait_woken", "[<0>] wait_woken+0x54/0x70\n[<0>] n_tty_read+0x5/0x6\n").empty());
}

TEST_CASE("work in progress: a driver's probe in a rescan, a slow reset, a hotplug slot")
{
    const auto rescan = Host().with('D', "msleep",
                                    "[<0>] msleep+0x2d/0x40\n[<0>] i915_driver_probe+0x1/0x2 [i915]\n"
                                    "[<0>] pci_bus_add_device+0x4f/0x90\n[<0>] rescan_store+0x5/0x9\n");
    REQUIRE(rescan.size() == 1);
    CHECK(rescan[0].where == "rescan_store");
    CHECK_FALSE(rescan[0].stuck);
    CHECK(
        Host().with('D', "pci_dev_wait", "[<0>] pci_dev_wait+0x1/0x2\n[<0>] reset_store+0x1/0x2\n").size() ==
        1);
    CHECK(Host().with('D', "pciehp_unconfigure_device", "[<0>] pciehp_unconfigure_device+0x1/0x2\n").size() ==
          1);
    CHECK(Host().with('D', "x", "[<0>] remove_store.isra.0+0x1/0x2\n").size() == 1);
}

TEST_CASE("other people's waits are none of ours")
{
    CHECK(
        Host().with('D', "io_schedule", "[<0>] io_schedule+0x1/0x2\n[<0>] ext4_sync_file+0x1/0x2\n").empty());
    CHECK(Host().with('D', "x", "[<0>] reset_store+0x1/0x2 [zram]\n").empty());
    CHECK(Host().with('R', "0", removing).empty());
    CHECK(Host().with('S', "ep_poll", removing).empty()); // its stack is not even read
    CHECK(Host().with('D', "x", "").empty());
    CHECK(Host().with('D', "x", "no stack\n[<0>]\n[<0>] \n").empty());
}

TEST_CASE("our own children and we are not meant")
{
    Host host;
    host.add_process(329, "pve-gpu-hook", {}, host.own_pid());
    host.set_task_state(329, 'D', "vfio_unregister_group_dev", removing);
    host.set_task_state(host.own_pid(), 'D', "vfio_unregister_group_dev", removing);
    CHECK(find_pci_writers(host).empty());
}

TEST_CASE("a child that an earlier run has left behind counts, whatever it waits for")
{
    const std::string frozen = "[<0>] percpu_rwsem_wait+0x11f/0x140\n[<0>] vfs_write+0x3f9/0x450\n";
    Host host;
    host.add_process(670, bounded_child_name);
    host.set_task_state(670, 'D', "percpu_rwsem_wait", frozen);
    const auto found = find_pci_writers(host);
    REQUIRE(found.size() == 1);
    CHECK(found[0].pid == 670);
    CHECK(found[0].where == "percpu_rwsem_wait");
    CHECK_FALSE(found[0].stuck);
    host.set_task_state(670, 'S', "unix_stream_read_generic", ""); // the idle child of a run beside us
    CHECK(find_pci_writers(host).empty());
}

TEST_CASE("a thread at work is found, whatever its process's first thread waits for")
{
    Host host;
    host.add_process(329, "daemon");
    host.set_task_state(329, 'S', "futex_do_wait", "");
    const std::string thread = "/proc/329/task/331/";
    host.file(thread + "stat", "331 (worker) D 1 0 0 0 -1 4194368 0 0 0 0 0 0 0 0 20 0 2 0 432 0 0\n");
    host.file(thread + "wchan", "vfio_unregister_group_dev");
    host.file(thread + "stack", removing);
    const auto found = find_pci_writers(host);
    REQUIRE(found.size() == 1);
    CHECK(found[0].pid == 331);
    CHECK(found[0].program == "worker");
    CHECK(found[0].stuck);
}

TEST_CASE("a task that ends while it is looked at")
{
    Host host;
    host.add_process(329, "sh");
    host.tree().erase("/proc/329/stat");
    CHECK(find_pci_writers(host).empty());
}
