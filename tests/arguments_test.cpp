// The command line of pve-gpu-install.
#include "commands/arguments.hpp"

#include "catch.hpp"
#include "has.hpp"

#include <boost/program_options/errors.hpp>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

Arguments parse(std::vector<const char*> words)
{
    words.insert(words.begin(), "pve-gpu-install");
    return parse_arguments(static_cast<int>(words.size()), words.data());
}

std::string problem_of(const std::vector<const char*>& words)
{
    try {
        parse(words);
        return "";
    } catch (const boost::program_options::error& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("guests are named one by one or in a list, and count once", "[command-line]")
{
    const std::vector<unsigned> three{101, 102, 103};
    CHECK(parse({"--vm", "101,102", "--vm", "103"}).options.vms == three);
    CHECK(parse({"--vm=101, 102,103", "--vm", "101"}).options.vms == three);
    CHECK(parse({"--ct", "901,902"}).options.containers == std::vector<unsigned>{901, 902});
    CHECK(has(problem_of({"--vm", "101,"}), "not a VMID: ''"));
    CHECK(has(problem_of({"--vm", "101;102"}), "not a VMID"));
}

TEST_CASE("help is of all commands or of one, whichever way it is asked for", "[command-line]")
{
    for (const auto& words :
         std::vector<std::vector<const char*>>{{"--help"}, {"-h"}, {"help"}, {"-h", "--json"}}) {
        const auto asked = parse(words);
        CHECK(asked.command == nullptr);
        CHECK(asked.help == help_text());
    }
    const auto of_try = parse({"help", "try"}).help;
    CHECK(parse({"try", "--help"}).help == of_try);
    CHECK(parse({"-h", "try"}).help == of_try);
    CHECK(of_try.starts_with("usage: pve-gpu-install try --vm N | --incus NAME [OPTIONS]\n"));
    CHECK(has(of_try, "  --vm N "));
    CHECK(has(of_try, "  --json "));
    CHECK_FALSE(has(of_try, "--html"));
    CHECK(has(problem_of({"help", "chekc"}), "did you mean 'check'?"));
    CHECK(parse({"-V"}).version);
    CHECK(parse({"--version", "check"}).version);
}

TEST_CASE("what was probably meant is said", "[command-line]")
{
    CHECK(has(problem_of({"isntall", "--vm", "101"}), "not a command: 'isntall'; did you mean 'install'?"));
    CHECK(has(problem_of({"check", "--exlain", "x"}), "'--exlain'; did you mean '--explain'?"));
    CHECK(has(problem_of({"check", "101"}), "did you mean '--vm 101'?"));
    CHECK(has(problem_of({"101"}), "did you mean '--vm 101'?"));
    CHECK(has(problem_of({"--vm", "101", "102"}), "did you mean '--vm 102'?"));
    CHECK(has(problem_of({"-x"}), "not an option: '-x'"));
    CHECK(has(problem_of({"check", "status"}), "one command at a time"));
    CHECK_FALSE(has(problem_of({"frobnicate"}), "did you mean"));
}

TEST_CASE("an option belongs to the commands that it means something to", "[command-line]")
{
    CHECK(has(problem_of({"status", "--html", "/tmp/x"}), "'status' takes no '--html'"));
    CHECK(has(problem_of({"uninstall", "--vm", "101"}), "'uninstall' takes no '--vm'"));
    CHECK(parse({"status", "--vm", "101"}).options.vms == std::vector<unsigned>{101});
    CHECK(has(problem_of({"try"}), "which VM?"));
    CHECK(has(problem_of({"--yes"}), "which VM?"));
    CHECK(has(problem_of({"--json"}), "which VM?"));
}

TEST_CASE("without a word, the guests that have a GPU are listed", "[command-line]")
{
    REQUIRE(parse({}).command != nullptr);
    CHECK(parse({}).command->run == overview);
    CHECK(parse({"--root", "/x"}).command->run == overview);
    CHECK(parse({"--vm", "101"}).command->run == install);
}
