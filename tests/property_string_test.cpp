#include "proxmox/config_lines.hpp"

#include "catch.hpp"

using namespace pvegpu;

namespace {

Properties good(std::string_view text, std::string_view default_key = "host")
{
    const auto result = parse_property_string(text, default_key);
    REQUIRE(std::holds_alternative<Properties>(result));
    return std::get<Properties>(result);
}

bool bad(std::string_view text, std::string_view default_key = "host")
{
    return std::holds_alternative<std::string>(parse_property_string(text, default_key));
}

} // namespace

TEST_CASE("a part without a key is the default key's, wherever it stands")
{
    const Properties expected{{"host", "01:00"}, {"pcie", "1"}};
    CHECK(good("01:00,pcie=1") == expected);
    CHECK(good("host=01:00,pcie=1") == expected);
    CHECK(good("pcie=1,01:00") == Properties{{"pcie", "1"}, {"host", "01:00"}});
}

TEST_CASE("a value may hold further equals signs")
{
    CHECK(good("romfile=a=b==") == Properties{{"romfile", "a=b=="}});
}

TEST_CASE("parts of blanks are skipped, other blanks belong to the key or the value")
{
    CHECK(good(",, ,01:00,\t,").size() == 1);
    CHECK(good("").empty());
    CHECK(good("  ").empty());
    CHECK(good("a=1, b = 2 ") == Properties{{"a", "1"}, {" b ", " 2 "}});
}

TEST_CASE("a key may not come twice")
{
    CHECK(bad("pcie=1,pcie=1"));
    CHECK(bad("01:00,02:00"));
    CHECK(bad("01:00,host=02:00"));
    CHECK(bad("host=01:00,02:00"));
}

TEST_CASE("a 0 that the default key got by name is replaced, as Perl takes it for nothing")
{
    CHECK(good("host=0,01:00") == Properties{{"host", "01:00"}});
    CHECK(bad("0,host=01:00"));
    CHECK(bad("0,01:00"));
}

TEST_CASE("a key without a value, or a value without a key, is an error")
{
    for (const auto* text : {"pcie=", "=1", "=", "01:00,="}) CHECK(bad(text));
}

TEST_CASE("without a default key each part needs a key")
{
    CHECK(bad("a", ""));
    CHECK(good("a=1", "") == Properties{{"a", "1"}});
}

TEST_CASE("what is wrong is quoted with control characters made visible")
{
    const auto result = parse_property_string("a=1,\x1b=", "host");
    CHECK(std::get<std::string>(result) == "a key or its value is missing in '\\x1b='");
}

TEST_CASE("booleans have eight spellings in any case")
{
    for (const auto* text : {"1", "on", "ON", "yes", "Yes", "true", "tRuE"})
        CHECK(parse_boolean(text) == true);
    for (const auto* text : {"0", "off", "oFF", "no", "NO", "false", "False"})
        CHECK(parse_boolean(text) == false);
    for (const auto* text : {"", "2", "01", "1 ", " 1", "y", "enabled"}) CHECK_FALSE(parse_boolean(text));
}
