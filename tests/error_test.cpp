#include "base/error.hpp"

#include "catch.hpp"

#include <cerrno>

using namespace pvegpu;

TEST_CASE("reasons are spelled as the contract spells them")
{
    CHECK(to_string(ErrorKind::in_use) == "in-use");
    CHECK(to_string(ErrorKind::stuck_writer) == "stuck-writer");
    CHECK(to_string(ErrorKind::sriov_parent) == "sriov-parent");
    CHECK(to_string(ErrorKind::not_found) == "not-found");
    CHECK(to_string(ErrorKind::invalid_config) == "invalid-config");
    CHECK(to_string(ErrorKind::needs_power_cycle) == "needs-power-cycle");
    CHECK(to_string(ErrorKind::timed_out) == "timed-out");
    CHECK(to_string(ErrorKind::interrupted) == "interrupted");
    CHECK(to_string(ErrorKind::stuck_write) == "stuck-write");
    CHECK(to_string(ErrorKind::failed) == "failed");
}

TEST_CASE("an error says where, what and the errno in words")
{
    const Error error(ErrorKind::in_use, {"cannot unbind '0000:03:00.0'", "stop VM 102"}, "/sys/x/unbind",
                      EBUSY);
    CHECK(std::string(error.what()) ==
          "/sys/x/unbind: cannot unbind '0000:03:00.0' (Device or resource busy); stop VM 102");
    CHECK(error.reason() == ErrorKind::in_use);
    CHECK(error.error_number() == EBUSY);
}

TEST_CASE("an error without a place or an errno says only what")
{
    CHECK(std::string(Error(ErrorKind::failed, {"no"}).what()) == "no");
}

TEST_CASE("an errno that nobody knows is a number")
{
    CHECK(std::string(Error(ErrorKind::failed, {"no"}, "", 12345).what()) == "no (error 12345)");
}

TEST_CASE("an error carries no control characters")
{
    CHECK(std::string(Error(ErrorKind::failed, {"a\nb"}, "\x1b[2J").what()) == "\\x1b[2J: a\\x0ab");
}
