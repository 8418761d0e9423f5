#include "catch.hpp"
#include "fake_system.hpp"
#include "machine/paths.hpp"
#include "usage/reservations.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const auto gpu = PciAddress{0, 1, 0, 0};

} // namespace

TEST_CASE("reservations as Proxmox writes them")
{
    const auto found = parse_reservations("0000:01:00.0 101 pid:4711\n0000:01:00.1 102 time:1700000015\n");
    REQUIRE(found.size() == 2);
    CHECK(found[0] == Reservation{"0000:01:00.0", 101, {}, 4711});
    CHECK(found[1] == Reservation{"0000:01:00.1", 102, 1'700'000'015, {}});
}

TEST_CASE("what Proxmox's pattern does not match is no reservation")
{
    for (const auto* text :
         {"", "\n", "0000:01:00.0", "0000:01:00.0 101", "0000:01:00.0 101 pid:", "0000:01:00.0 101 time:-5",
          "0000:01:00.0  101 pid:1", " 0000:01:00.0 101 pid:1", "0000:01:00.0 101 pid:1 ",
          "0000:01:00.0 101 pid:1\r", "0000:01:00.0 x pid:1", "0000:01:00.0 101 gid:1",
          "000:01:00.0 101 pid:1", "0000:01:00. 101 pid:1", "0000:01:00.A 101 pid:1", "0000:1:00.0 101 pid:1",
          "0000:01:00.00 101 pid:1", "../../x 101 pid:1"})
        CHECK(parse_reservations(text).empty());
    CHECK(parse_reservations("0000:01:00.0 101 pid:1").size() == 1); // the last line end may be missing
}

TEST_CASE("of two lines for one id the last one counts")
{
    const auto found = parse_reservations("0000:01:00.0 101 time:1\n0000:01:00.0 102 pid:7\n");
    REQUIRE(found.size() == 1);
    CHECK(found[0].vmid == 102);
}

TEST_CASE("an id may leave out domain and function")
{
    const auto reserved = [](const char* id) { return reserves(Reservation{id, 101, {}, {}}, gpu); };
    CHECK(reserved("0000:01:00.0"));
    CHECK(reserved("01:00.0"));
    CHECK(reserved("01:00"));
    CHECK(reserved("0000:01:00"));
    CHECK_FALSE(reserved("0000:01:00.1"));
    CHECK_FALSE(reserved("0001:01:00.0"));
    CHECK_FALSE(reserved("10000:01:00"));
}

TEST_CASE("a reservation holds while its time has not passed")
{
    const FakeSystem machine;
    const auto until = [&](std::int64_t time) { return Reservation{"0000:01:00.0", 101, time, {}}; };
    CHECK(reservation_holds(machine, until(machine.wall_clock() + 1)));
    CHECK_FALSE(reservation_holds(machine, until(machine.wall_clock())));
    const auto far = parse_reservations("0000:01:00.0 101 time:99999999999999999999");
    CHECK(reservation_holds(machine, far.at(0)));
}

TEST_CASE("a reservation holds while its pid is that of the running VM")
{
    FakeSystem machine;
    const Reservation reservation{"0000:01:00.0", 101, {}, 4711};
    const auto holds = [&] { return reservation_holds(machine, reservation); };
    CHECK_FALSE(holds());
    machine.add_process(4711, "kvm");
    CHECK_FALSE(holds()); // the pid was given to another program
    machine.file("/run/qemu-server/101.pid", "4711\n");
    CHECK(holds());
    machine.file("/run/qemu-server/101.pid", "4712\n");
    CHECK_FALSE(holds());
    machine.file("/run/qemu-server/101.pid", "4711\n");
    machine.end_process(4711);
    CHECK_FALSE(holds());
    CHECK_FALSE(reservation_holds(machine, parse_reservations("0000:01:00.0 101 pid:99999999999").at(0)));
}
