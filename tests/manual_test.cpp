// What is installed beside the programs agrees with them: manual pages, the example, the version.
#include "base/enum_names.hpp"
#include "base/text.hpp"
#include "catch.hpp"
#include "real_process.hpp"
#include "settings/settings.hpp"
#include "version.hpp"

#include <fstream>
#include <sstream>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

std::string packaging_file(const std::string& name)
{
    std::ifstream file(std::string(TESTS_DIR) + "/../packaging/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The first words of the indented lines of --help: commands and options.
std::vector<std::string> words_of_help(const std::string& program)
{
    const SignalsAsBefore signals;
    LinuxSystem system("test", "");
    const auto help = system.run({program, "--help"}, Milliseconds(10'000));
    std::vector<std::string> words;
    for (LineReader lines(help.text); lines.next();)
        if (lines.line().starts_with("  ")) {
            const auto line = trim(lines.line());
            words.emplace_back(line.substr(0, line.find_first_of(" ,"))); // "--help, -h"
        }
    return words;
}

// A line of the page is about it: "*--vm* _N_" or "_VMID_".
bool describes(const std::string& page, const std::string& word)
{
    for (LineReader lines(page); lines.next();)
        for (const char* mark : {"*", "_"})
            if (lines.line().starts_with(mark + word + mark)) return true;
    return false;
}

void check_page(const std::string& program, const std::string& name)
{
    const auto page = packaging_file("man/" + name);
    const auto words = words_of_help(program);
    CHECK(words.size() > 5);
    for (const auto& word : words) {
        CAPTURE(name, word);
        CHECK(describes(page, word));
    }
}

template <typename Names, typename Value> std::string spelled(const Names& names, Value value)
{
    for (const auto& known : names)
        if (known.value == value) return '"' + std::string(known.name) + '"';
    return "";
}

void check_setting(const std::string& page, const std::string& name, const std::string& value)
{
    CAPTURE(name, value);
    CHECK(page.find("\n*" + name + "* (" + value + ")\n") != std::string::npos);
}

} // namespace

TEST_CASE("every command and option of --help is in the manual page", "[manual]")
{
    check_page(HOOK_PROGRAM, "pve-gpu-hook.8.scd");
    check_page(INSTALL_PROGRAM, "pve-gpu-install.8.scd");
}

TEST_CASE("every setting is in its manual page with its default and its values", "[manual]")
{
    const auto page = packaging_file("man/pve-gpu-hook.json.5.scd");
    const auto settings = default_settings();
    for (const auto& timeout : timeout_names)
        check_setting(page, std::string(timeout.name),
                      std::to_string((settings.timeouts.*timeout.value).count() / 1000));
    check_setting(page, "parallel", std::to_string(settings.parallel));
    check_setting(page, "retries", std::to_string(settings.retries));
    check_setting(page, "strategy", spelled(strategy_names, settings.strategy));
    check_setting(page, "on_timeout", spelled(on_timeout_names, settings.on_timeout));
    check_setting(page, "after_stop", spelled(after_stop_names, settings.after_stop));
    check_setting(page, "reset_with", spelled(reset_with_names, settings.reset_with));
    const auto has_values = [&](const auto& names) {
        for (const auto& known : names)
            CHECK(page.find('"' + std::string(known.name) + '"') != std::string::npos);
    };
    has_values(strategy_names);
    has_values(on_timeout_names);
    has_values(after_stop_names);
    has_values(reset_with_names);
}

TEST_CASE("the example of settings can be read, and its general part is the defaults", "[manual]")
{
    const auto text = packaging_file("examples/settings.json");
    const auto file = SettingsFile::parse(text, "settings.json");
    const auto given = file.for_guest(999), defaults = default_settings();
    for (const auto& timeout : timeout_names) {
        CHECK((given.timeouts.*timeout.value) == (defaults.timeouts.*timeout.value));
        CHECK(text.find('"' + std::string(timeout.name) + "\":") != std::string::npos);
    }
    CHECK(given.parallel == defaults.parallel);
    CHECK(given.retries == defaults.retries);
    CHECK(given.strategy == defaults.strategy);
    CHECK(given.on_timeout == defaults.on_timeout);
    CHECK(given.after_stop == defaults.after_stop);
    CHECK(given.reset_with == defaults.reset_with);
    for (const auto* key :
         {"parallel", "retries", "strategy", "on_timeout", "after_stop", "reset_with", "guests", "devices"})
        CHECK(text.find('"' + std::string(key) + "\":") != std::string::npos);
    CHECK(file.for_guest(101).strategy == Strategy::automatic);
}

TEST_CASE("the programs have the version of the package's changelog", "[manual]")
{
    const auto changelog = packaging_file("debian/changelog");
    CHECK(changelog.starts_with("pve-gpu-hook (" + std::string(version)));
}
