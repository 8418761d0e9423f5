// With '--json' each program answers with one document on standard output, whatever it was asked and however
// it ends.
#include "catch.hpp"
#include "installer_tree.hpp"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

using Words = std::vector<std::string>;

// A command line, how it ends, and what the error's reason is; empty where there is none.
struct Asked {
    Words words;
    int status = 0;
    std::string reason = {};
};

nlohmann::json answer(const std::string& program, const Asked& asked, const std::string& root)
{
    auto words = asked.words;
    words.insert(words.end(), {"--json", "--root", root});
    const auto ended = run_to_end(program, words);
    INFO(words.front() << ": " << ended.out << ended.err);
    CHECK(ended.status == asked.status);
    REQUIRE(nlohmann::json::accept(ended.out)); // one document, and nothing beside it
    auto json = nlohmann::json::parse(ended.out);
    CHECK(json.at("schema").get<std::string>().starts_with("pve-gpu-hook/"));
    const auto error = json.value("error", nlohmann::json());
    CHECK(error.is_null() == asked.reason.empty());
    if (asked.reason.empty() || !error.is_object()) return json;
    CHECK(error.at("reason") == asked.reason);
    CHECK_FALSE(error.at("what").get<std::string>().empty());
    CHECK(error.contains("remedy"));
    CHECK(error.contains("where"));
    return json;
}

void all_answered(const std::string& program, const std::vector<Asked>& questions, const std::string& root)
{
    for (const auto& asked : questions) answer(program, asked, root);
}

} // namespace

TEST_CASE("the installer answers each command in JSON, done or not", "[install][json]")
{
    const Tree tree;
    tree.file("/etc/pve/lxc/901.conf", "arch: amd64\nhostname: a\nunprivileged: 1\n");
    tree.file("/etc/hosts", "127.0.0.1 localhost\n");
    all_answered(INSTALL_PROGRAM,
                 {{{"status"}},
                  {{"status", "--vm", "101"}},
                  {{"status", "--vm", "999"}, 1, "not-found"},
                  {{"check"}, 1},
                  {{"check", "--vm", "101"}, 1},
                  {{"check", "--vm", "999"}, 1, "not-found"},
                  {{"check", "--list"}},
                  {{"check", "--explain", "Code 43"}},
                  {{"check", "--explain", "of nothing that is known"}, 1},
                  {{"check", "--explain-file", "/absent"}, 1, "not-found"},
                  {{"check", "--html", "/absent/report.html"}, 1, "not-found"},
                  {{"check", "--report", "/etc/hosts"}, 1, "invalid-config"},
                  {{"capture"}},
                  {{"capture", "--guest", "999"}, 1, "not-found"},
                  {{"capture", "--guest", "101", "--output", "/captured"}},
                  {{"capture", "--guest", "101", "--output", "/captured"}, 1, "failed"},
                  {{"try", "--vm", "999"}, 1, "not-found"},
                  {{"try", "--vm", "101", "--dry-run"}},
                  {{"verify", "--vm", "101"}, 1},
                  {{"install", "--vm", "101", "--dry-run"}},
                  {{"install", "--vm", "101"}, 1, "failed"}, // nobody can be asked
                  {{"install", "--vm", "999", "--yes"}, 1, "not-found"},
                  {{"install", "--ct", "999", "--yes"}, 1, "not-found"},
                  {{"install", "--vm", "101", "--yes"}, 3},
                  {{"detach", "--vm", "999", "--yes"}, 1, "not-found"},
                  {{"detach", "--vm", "101", "--dry-run"}},
                  {{"detach", "--vm", "101", "--yes"}},
                  {{"uninstall"}, 1, "failed"},
                  {{"uninstall", "--yes"}},
                  {{"help"}},
                  {{"--version"}},
                  {{"--help"}},
                  {{"status", "--help"}},
                  {{"nonsense"}, 2, "usage"},
                  {{"install"}, 2, "usage"},
                  {{"--vm", "99"}, 2, "usage"},
                  {{"status", "--nonsense"}, 2, "usage"},
                  {{"try"}, 2, "usage"}},
                 tree());
    answer(INSTALL_PROGRAM, {{"status"}, 2, "usage"}, "");
    answer(INSTALL_PROGRAM, {{"status"}, 1, "not-found"}, "/absent");
    tree.file("/var/lib/pve-gpu-hook/manifest.json", "damaged");
    for (const auto* command : {"uninstall", "detach", "install"}) {
        Words words{command, "--yes"};
        if (std::string(command) != "uninstall") words.insert(words.end(), {"--vm", "101"});
        answer(INSTALL_PROGRAM, {words, 1, "failed"}, tree());
    }
    const TempDirectory bare;
    bare.file("/etc/hostname", "bare");
    for (const auto& words : std::vector<Words>{
             {"status"}, {"check"}, {"install", "--vm", "101", "--yes"}, {"uninstall", "--yes"}}) {
        const auto ended = run_to_end(INSTALL_PROGRAM, [&] {
            auto all = words;
            all.insert(all.end(), {"--json", "--root", bare()});
            return all;
        }());
        INFO(words.front() << ended.out << ended.err);
        CHECK(nlohmann::json::accept(ended.out));
    }
}

TEST_CASE("what was changed is true when it is done, false when it was not begun", "[install][json]")
{
    const Tree tree;
    CHECK(answer(INSTALL_PROGRAM, {{"install", "--vm", "101"}, 1, "failed"}, tree())["changed"] == false);
    CHECK(answer(INSTALL_PROGRAM, {{"install", "--vm", "101", "--dry-run"}}, tree())["changed"] == true);
    const auto done = answer(INSTALL_PROGRAM, {{"install", "--vm", "101", "--yes"}, 3}, tree());
    CHECK(done["changed"] == true);
    CHECK(done["reboot_needed"] == true);
    CHECK(answer(INSTALL_PROGRAM, {{"install", "--vm", "101", "--yes"}, 3}, tree())["changes"].is_array());
}

TEST_CASE("the hook answers in JSON, done or not", "[json]")
{
    const Tree tree;
    all_answered(HOOK_PROGRAM,
                 {{{"101", "pre-start", "--dry-run"}},
                  {{"101", "post-stop", "--dry-run"}},
                  {{"101", "post-start"}},
                  {{"999", "pre-start"}, 1, "not-found"},
                  {{"--help"}},
                  {{"--version"}},
                  {{"101"}, 2, "usage"},
                  {{"99", "pre-start"}, 2, "usage"},
                  {{"101", "start"}, 2, "usage"},
                  {{"--nonsense"}, 2, "usage"},
                  {{"--nodes", "101"}, 2, "usage"},
                  {{"--events", "101"}, 2, "usage"}},
                 tree());
    answer(HOOK_PROGRAM, {{"101", "pre-start"}, 2, "usage"}, "");
    answer(HOOK_PROGRAM, {{"101", "pre-start"}, 1, "not-found"}, "/absent");
    // A plan that is refused tells so in its own words; that is no failure of the question.
    const auto refused = answer(HOOK_PROGRAM, {{"999", "pre-start", "--dry-run"}, 1}, tree());
    CHECK(refused.at("refused").at("reason") == "not-found");
    tree.file("/etc/pve-gpu-hook/settings.json", "damaged");
    answer(HOOK_PROGRAM, {{"101", "pre-start"}, 1, "invalid-config"}, tree());
    // The other hookscript of the guest prints what it likes.
    const Tree chained;
    chained.file("/var/lib/pve-gpu-hook/chained/101.json", "no JSON");
    answer(HOOK_PROGRAM, {{"101", "post-start"}, 1, "failed"}, chained());
}
