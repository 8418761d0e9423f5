#include "base/text.hpp"

#include "catch.hpp"

using namespace pvegpu;

TEST_CASE("blanks are Perl's six, not what a locale thinks")
{
    CHECK(trim(" \t\v\f\r\n a b \r\n") == "a b");
    CHECK(trim_left("  a ") == "a ");
    CHECK(trim_right("  a ") == "  a");
    CHECK(trim("\xa0 a\x85") == "\xa0 a\x85");
    CHECK(is_blank(" \t\r"));
    CHECK_FALSE(is_blank(std::string_view("\0", 1)));
    CHECK(trim("").empty());
}

TEST_CASE("splitting keeps empty parts")
{
    CHECK(split("a;b;;c", ';') == std::vector<std::string_view>{"a", "b", "", "c"});
    CHECK(split("", ';') == std::vector<std::string_view>{""});
    CHECK(split(";", ';') == std::vector<std::string_view>{"", ""});
}

TEST_CASE("a text is split once at its first separator, or not at all")
{
    CHECK(split_once("a=b=c", '=') == std::pair<std::string_view, std::string_view>("a", "b=c"));
    CHECK(split_once("=", '=') == std::pair<std::string_view, std::string_view>("", ""));
    CHECK_FALSE(split_once("abc", '='));
}

TEST_CASE("joining puts the separator between the parts only")
{
    CHECK(join({}, ", ").empty());
    CHECK(join({"a"}, ", ") == "a");
    CHECK(join({"a", "b"}, ", ") == "a, b");
}

TEST_CASE("numbers have digits only and must fit")
{
    CHECK(parse_decimal("0") == 0U);
    CHECK(parse_decimal("4294967295") == 4294967295U);
    CHECK_FALSE(parse_decimal("4294967296"));
    for (const auto* text : {"", "+1", "-1", " 1", "1 ", "1a", "0x1"}) CHECK_FALSE(parse_decimal(text));
    CHECK(parse_hex("56a6") == 0x56a6U);
    CHECK(parse_hex("FF") == 0xffU);
    CHECK_FALSE(parse_hex("0x1"));
}

TEST_CASE("hex has at least as many digits as asked for")
{
    CHECK(to_hex(0, 1) == "0");
    CHECK(to_hex(0, 4) == "0000");
    CHECK(to_hex(0x3, 2) == "03");
    CHECK(to_hex(0x10000, 4) == "10000");
    CHECK(to_hex(0, 0).empty());
}

TEST_CASE("lower case is ASCII's")
{
    CHECK(lower("0A:00.F-\xc4") == "0a:00.f-\xc4");
}

TEST_CASE("control characters and all that is not ASCII become visible")
{
    CHECK(printable("a\x1b[31mb\n\t") == "a\\x1b[31mb\\x0a\\x09");
    CHECK(printable("\x7f\xc3\xa4") == "\\x7f\\xc3\\xa4");
    CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
    CHECK(printable("abcdef", 3) == "abc...");
    CHECK(printable("abc", 3) == "abc");
}

TEST_CASE("a quote stands in single quotes and is cut after 120 characters")
{
    CHECK(quote("hostpci0: x") == "'hostpci0: x'");
    CHECK(quote(std::string(121, 'a')) == "'" + std::string(120, 'a') + "...'");
    CHECK(quote(std::string(200, '\r')).size() == 120 * 4 + 5);
}

TEST_CASE("lines are counted from 1, and a text that ends in a line end has no empty last line")
{
    LineReader reader("a\n\nb\r\n");
    REQUIRE(reader.next());
    CHECK(reader.line() == "a");
    CHECK(reader.number() == 1);
    REQUIRE(reader.next());
    CHECK(reader.line().empty());
    REQUIRE(reader.next());
    CHECK(reader.line() == "b\r");
    CHECK(reader.number() == 3);
    CHECK_FALSE(reader.next());
    CHECK_FALSE(LineReader("").next());
}

TEST_CASE("a last line without a line end is a line")
{
    LineReader reader("a");
    REQUIRE(reader.next());
    CHECK(reader.line() == "a");
    CHECK_FALSE(reader.next());
}
