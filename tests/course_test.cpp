// What follows from what happens to a machine that resets itself, without QEMU, files and time of its own.
#include "catch.hpp"
#include "events/course.hpp"

using namespace pvegpu;
using namespace std::chrono_literals;

namespace {

using Kind = Hindrance::Kind;
const TimePoint start{};

Course armed()
{
    Course course;
    CHECK(looked(course, {}, start) == Actions{Action::arm});
    course.armed = course.sure = true; // QEMU has agreed
    return course;
}

Actions resets(Course& course, std::optional<Kind> hindrance = {}, bool within_limit = true)
{
    return machine_halted(course, {true, hindrance, within_limit}, start);
}

Look halted_look(std::optional<Kind> hindrance = {}, bool request = true)
{
    return {hindrance, true, request};
}

} // namespace

TEST_CASE("QEMU is armed once while nothing is in the way, and disarmed when something is", "[course]")
{
    auto course = armed();
    CHECK(looked(course, {}, start).empty());
    CHECK(looked(course, {Kind::locked, false, false}, start) == Actions{Action::disarm});
    course.armed = false;
    CHECK(looked(course, {Kind::locked, false, false}, start).empty());
    CHECK(looked(course, {}, start) == Actions{Action::arm});
}

TEST_CASE("what an earlier reader may have armed is armed once more, or disarmed", "[course]")
{
    Course course;
    course.armed = true;
    CHECK(looked(course, {}, start) == Actions{Action::arm});
    CHECK(looked(course, {Kind::elsewhere, false, false}, start) == Actions{Action::disarm});
    CHECK(reader_ends(course) == Actions{Action::disarm});
}

TEST_CASE("a QEMU that refuses is asked once", "[course]")
{
    Course course;
    course.refuses = true;
    CHECK(looked(course, {}, start).empty());
    CHECK(reader_ends(course).empty());
}

TEST_CASE("an armed reset is answered by a restart, by going on, or by nothing", "[course]")
{
    struct Case {
        std::optional<Kind> hindrance;
        bool within_limit;
        Halt halt;
        Actions actions;
    };
    const std::vector<Case> cases{
        {{}, true, Halt::restart, {Action::ask_restart}},
        {{}, false, Halt::left, {}},
        {Kind::setup, true, Halt::restart, {Action::ask_restart}},
        {Kind::stop, true, Halt::stopping, {}},
        {Kind::locked, true, Halt::resume, {Action::ask_restart, Action::run_again}},
        {Kind::elsewhere, true, Halt::resume, {Action::run_again}},
        {Kind::unknown, true, Halt::resume, {Action::run_again}},
    };
    for (const auto& one : cases) {
        auto course = armed();
        CHECK(resets(course, one.hindrance, one.within_limit) == one.actions);
        CHECK(course.halt == one.halt);
    }
}

TEST_CASE("a shutdown, a crash, and a reset that nobody has armed stay as they are", "[course]")
{
    auto course = armed();
    CHECK(machine_halted(course, {false, {}, true}, start).empty());
    CHECK(course.halt == Halt::left);
    // Proxmox resets a machine that it lets run again: it is disarmed, and stays halted for as long as it
    // takes.
    CHECK(looked(course, halted_look({}, false), start) == Actions{Action::disarm});
    course.armed = false;
    CHECK(looked(course, halted_look({}, false), start + 1h).empty());
    Course unarmed; // 'reboot: 0' of the administrator's
    CHECK(resets(unarmed).empty());
    CHECK(unarmed.halt == Halt::left);
}

TEST_CASE("a restart that nobody carries out becomes one in the same QEMU", "[course]")
{
    auto course = armed();
    resets(course);
    CHECK(looked(course, halted_look(), start + ended_within - 1ms).empty());
    CHECK(looked(course, halted_look(), start + ended_within) == Actions{Action::run_again});
    CHECK(looked(course, halted_look(), start + ended_within) == Actions{Action::run_again}); // until it runs
    CHECK(looked(course, {{}, false, true}, start + ended_within) == Actions{Action::take_back});
    CHECK(course.halt == Halt::none);
}

TEST_CASE("a request that a stop has taken back is not made again", "[course]")
{
    auto course = armed();
    resets(course);
    CHECK(looked(course, halted_look(Kind::stop, false), start).empty());
    CHECK(course.halt == Halt::stopping);
    CHECK(looked(course, halted_look(Kind::stop, false), start + 1h).empty()); // it is still at it
    CHECK(looked(course, halted_look({}, false), start + 1h) == Actions{Action::run_again}); // it has failed
}

TEST_CASE("a machine that somebody lets run again is one as before", "[course]")
{
    for (const auto hindrance : {std::optional(Kind::stop), std::optional<Kind>()}) {
        auto course = armed();
        resets(course, hindrance);
        looked(course, {{}, false, true}, start);
        CHECK(course.halt == Halt::none);
        CHECK(looked(course, {}, start).empty()); // it is armed still
    }
}

TEST_CASE("a reader that ends leaves nothing armed, and what was asked for stays asked for", "[course]")
{
    auto running = armed();
    CHECK(reader_ends(running) == Actions{Action::disarm});
    auto restarts = armed();
    resets(restarts);
    CHECK(reader_ends(restarts).empty());
    auto backed_up = armed();
    resets(backed_up, Kind::locked);
    CHECK(reader_ends(backed_up) == Actions{Action::run_again});
}

// Every order of four things that can happen: whatever came before, a machine that halts by an armed reset
// and stays so for long is asked for, let run, or left to whoever stops it; it is never forgotten.
TEST_CASE("no order of events leaves a machine hanging", "[course]")
{
    const std::vector<std::optional<Kind>> kinds{
        {}, Kind::stop, Kind::locked, Kind::elsewhere, Kind::unknown};
    for (const auto first : kinds)
        for (const auto second : kinds)
            for (const auto third : kinds) {
                auto course = armed();
                resets(course, first);
                for (const auto then : {second, third})
                    looked(course, halted_look(then, course.halt == Halt::restart), start + 1s);
                const auto actions = looked(course, halted_look({}, true), start + 1h);
                CHECK(actions == Actions{Action::run_again});
            }
}
