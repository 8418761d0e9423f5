#include "catch.hpp"
#include "usage/open_files.hpp"

using namespace pvegpu;

TEST_CASE("a line of /proc/PID/stat")
{
    const auto stat = parse_proc_stat(
        "329 (sh) D 274 0 0 0 -1 4194368 25 0 0 0 0 0 0 0 20 0 1 0 432 2314240 242 18446744073709551615\n");
    REQUIRE(stat);
    CHECK(stat->pid == 329);
    CHECK(stat->program == "sh");
    CHECK(stat->state == 'D');
    CHECK(stat->parent == 274);
    CHECK(stat->start_time == 432);
}

TEST_CASE("a program may be named so as to look like the rest of the line")
{
    const auto stat = parse_proc_stat("7 (a) R 1 (b) S 2 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0\n");
    REQUIRE(stat);
    CHECK(stat->program == "a) R 1 (b");
    CHECK(stat->state == 'S');
    CHECK(stat->parent == 2);
    CHECK(stat->start_time == 99);
}

TEST_CASE("text that is no line of /proc/PID/stat")
{
    for (const auto* text : {"", "\n", "329", "329 (sh)", "329 (sh) ", "329 (sh) D", "329 (sh) D 1 2 3",
                             "x (sh) D 274 0 0 0 -1 4194368 25 0 0 0 0 0 0 0 20 0 1 0 432 0 0", ") (",
                             ") 1 (", "329 (sh) DD 274 0 0 0 -1 4194368 25 0 0 0 0 0 0 0 20 0 1 0 432 0 0",
                             "329 (sh) D 274 0 0 0 -1 4194368 25 0 0 0 0 0 0 0 20 0 1 0 -1 0 0"})
        CHECK_FALSE(parse_proc_stat(text));
}
