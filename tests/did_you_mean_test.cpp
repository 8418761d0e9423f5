#include "base/did_you_mean.hpp"

#include "catch.hpp"

using namespace pvegpu;

TEST_CASE("a word with a slip of the pen is told the word that was meant", "[command-line]")
{
    const std::vector<std::string> known{"install", "uninstall", "status", "try", "detach"};
    CHECK(did_you_mean("instal", known) == "; did you mean 'install'?");
    CHECK(did_you_mean("isntall", known) == "; did you mean 'install'?");
    CHECK(did_you_mean("statsu", known) == "; did you mean 'status'?");
    CHECK(did_you_mean("detatch", known) == "; did you mean 'detach'?");
    CHECK(did_you_mean("unistall", known) == "; did you mean 'uninstall'?");
}

TEST_CASE("a word that is like none is told nothing", "[command-line]")
{
    const std::vector<std::string> known{"install", "try"};
    CHECK(did_you_mean("purge", known).empty());
    CHECK(did_you_mean("a", known).empty());
    CHECK(did_you_mean("ty", known).empty()); // half of it
    CHECK(did_you_mean("", known).empty());
    CHECK(did_you_mean(std::string(1000, 'i'), known).empty());
    CHECK(did_you_mean("install", {}).empty());
}
