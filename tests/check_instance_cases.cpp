#include "check_cases.hpp"
#include "fake_incus.hpp"
#include "machine/paths.hpp"
#include "usage/instances.hpp"

namespace pvegpu::testing {
namespace {

const Json gpu{{"type", "gpu"}, {"gputype", "physical"}, {"pci", "0000:03:00.0"}};
const Json audio{{"type", "pci"}, {"address", "0000:04:00.0"}};

// The card is a VM's of Incus, and no longer VM 101's.
Json& add_web(FakeSystem& machine, const Json& devices = {{"gpu", gpu}, {"audio", audio}})
{
    replace_guest(machine, "name: media\n");
    return FakeIncus::on(machine).add_vm("web", devices);
}

void add_well(FakeSystem& machine)
{
    auto& web = add_web(machine);
    web["config"]["boot.autostart"] = web["expanded_config"]["boot.autostart"] = "false";
}

} // namespace

std::vector<CheckCase> instance_cases()
{
    return {
        {.check = "incus.daemon",
         .verdict = Verdict::error,
         .fires = [](FakeSystem& m) { m.file(std::string(paths::incus_socket), ""); },
         .says = "Incus is not running",
         .quiet = add_well,
         .fix = "systemctl status incus"},
        {.check = "incus.daemon",
         .verdict = Verdict::error,
         .fires =
             [](FakeSystem& m) {
                 add_web(m);
                 auto& incus = FakeIncus::on(m);
                 incus.add_vm("web", {{"gpu", gpu}});
                 incus.stop_answering("recursion=1");
                 incus.stop_answering("/instances/web");
             },
         .says = "VM 'web' cannot be looked at: its QEMU does not answer",
         .silent = true},
        {.check = "incus.devices",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_web(m, {{"gpu", gpu}});
             },
         .subject = "VM 'web'",
         .says = "does not name '0000:04:00.0' (8086:4f92), which is on the card",
         .quiet = add_well,
         .fix = "pve-gpu-install --incus web"},
        {.check = "incus.devices",
         .verdict = Verdict::error,
         .fires =
             [](FakeSystem& m) {
                 add_web(m, {{"gpu", {{"type", "gpu"}, {"vendorid", "10de"}}}});
             },
         .subject = "VM 'web'",
         .says = "names no address, and 0 GPUs of this host would do",
         .silent = true},
        {.check = "incus.start",
         .verdict = Verdict::error,
         .fires =
             [](FakeSystem& m) {
                 add_well(m);
                 m.open_vfio("0000:03:00.0", 4711, "qemu-system-x86");
             },
         .subject = "VM 'web'",
         .says = "'0000:03:00.0' is in use by a process (pid 4711, qemu-system-x86)",
         .quiet = add_well},
        {.check = "incus.taken",
         .verdict = Verdict::error,
         .fires =
             [](FakeSystem& m) {
                 m.file(paths::taken_devices_of(number_of(InstanceName{"default", "web"})),
                        R"({"instance":"web","socket":"/var/lib/incus/unix.socket","devices":{"gpu":null}})");
             },
         .subject = "VM 'web'",
         .says = "was killed half-way",
         .silent = true,
         .fix = "pve-gpu-install start --incus web"},
        {.check = "incus.autostart",
         .verdict = Verdict::warning,
         .fires = [](FakeSystem& m) { add_web(m); },
         .subject = "VM 'web'",
         .says = "boot.autostart is not set",
         .quiet = add_well,
         .fix = "pve-gpu-install --incus web"},
        {.check = "incus.bare-start",
         .verdict = Verdict::warning,
         .fires =
             [](FakeSystem& m) {
                 add_well(m);
                 FakeIncus& incus = FakeIncus::on(m);
                 incus.add_vm("web", {{"gpu", gpu}, {"audio", audio}});
                 incus.start_bare("web");
             },
         .subject = "VM 'web'",
         .says = "its card was not recovered",
         .silent = true,
         .fix = "incus stop web; pve-gpu-install start --incus web"},
        {.check = "incus.bare-start",
         .verdict = Verdict::note,
         .fires = add_well,
         .subject = "VM 'web'",
         .says = "'incus start web' and a reboot by the guest itself recover nothing",
         .silent = true},
    };
}

} // namespace pvegpu::testing
