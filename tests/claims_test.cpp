#include "catch.hpp"
#include "fake_system.hpp"
#include "machine/paths.hpp"
#include "usage/claims.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const Claim example{101, {4711, 123'456}, {{0, 3, 0, 0}, {0x10000, 4, 0, 1}}};

} // namespace

TEST_CASE("a claim is printed and read again")
{
    CHECK(parse_claim(print_claim(example)) == example);
    CHECK(print_claim({101, {4711, 1}, {{0, 3, 0, 0}}}) ==
          "{\"vmid\":101,\"parent\":{\"pid\":4711,\"start_time\":1},\"functions\":[\"0000:03:00.0\"]}\n");
}

TEST_CASE("a damaged claim is none")
{
    for (const auto* text :
         {"", "{", "[]", "null", "\"x\"", "{}", R"({"vmid":-1})", R"({"vmid":99999999999})",
          R"({"vmid":"101"})", R"({"vmid":101,"parent":[],"functions":[]})",
          R"({"vmid":101,"parent":{"pid":0,"start_time":1},"functions":[]})",
          R"({"vmid":101,"parent":{"pid":9999999999,"start_time":1},"functions":[]})",
          R"({"vmid":101,"parent":{"pid":1,"start_time":1.5},"functions":[]})",
          R"({"vmid":101,"parent":{"pid":1,"start_time":1}})",
          R"({"vmid":101,"parent":{"pid":1,"start_time":1},"functions":[1]})",
          R"({"vmid":101,"parent":{"pid":1,"start_time":1},"functions":["../../etc"]})"}) {
        CHECK_FALSE(parse_claim(text));
    }
}

TEST_CASE("claims are read from their directory; a damaged one is none")
{
    FakeSystem machine;
    CHECK(read_claims(machine).empty());
    machine.file(paths::claim(101), print_claim(example));
    machine.file(paths::claim(102), "{");
    machine.file("/run/pve-gpu-hook/claims/101.json.tmp", "{");
    CHECK(read_claims(machine) == std::vector{example});
}

TEST_CASE("a claim holds while the task that made it runs")
{
    FakeSystem machine;
    CHECK_FALSE(claim_holds(machine, example));
    machine.add_process(4711, "task UPID:pve:0) S (", {}, 1, 123'456);
    CHECK(claim_holds(machine, example));
    CHECK(find_process(machine, 4711) == Process{4711, 123'456});
    machine.add_process(4711, "task UPID", {}, 1, 123'457); // another task with the same pid
    CHECK_FALSE(claim_holds(machine, example));
    machine.end_process(4711);
    CHECK(!find_process(machine, 4711));
}

TEST_CASE("a task that goes on to the next guest has given up its earlier claims")
{
    FakeSystem machine;
    const Claim ours{102, find_process(machine, machine.parent_pid()).value(), {}};
    CHECK(ours.parent.start == 5000);
    CHECK_FALSE(claim_holds(machine, ours));
}
