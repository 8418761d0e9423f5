// Every check on a machine on which it finds something and on one on which it does not.
#include "catch.hpp"
#include "check/facts.hpp"
#include "check_cases.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

Findings found_by(const std::string& check, const std::string& kernel, const Build& build)
{
    FakeSystem machine(kernel);
    add_healthy_host(machine);
    build(machine);
    auto findings = run_checks(read_check_facts(machine));
    std::erase_if(findings, [&](const Finding& finding) { return finding.name != check; });
    return findings;
}

// By a name, so that each can be run alone: pvegpu-tests "[check-case]" -c "iommu.enabled: ..."
using NamedCase = std::pair<std::string, CheckCase>;

const std::vector<NamedCase>& all_cases()
{
    static const auto cases = [] {
        std::vector<NamedCase> named;
        std::map<std::string, unsigned> times;
        for (const auto& family :
             {host_cases(), card_cases(), guest_cases(), container_cases(), instance_cases(), log_cases()})
            for (const auto& one : family) {
                const auto name = one.check + ": " + one.says;
                const auto time = ++times[name];
                named.emplace_back(time == 1 ? name : name + " (" + std::to_string(time) + ")", one);
            }
        return named;
    }();
    return cases;
}

} // namespace

TEST_CASE("each check finds what is wrong, with where it looked and what to do", "[check][check-case]")
{
    for (const auto& [name, one] : all_cases()) {
        DYNAMIC_SECTION(name)
        {
            const auto findings = found_by(one.check, one.kernel, one.fires);
            REQUIRE_FALSE(findings.empty());
            const auto& worst = findings.front();
            CHECK(worst.verdict == one.verdict);
            CHECK(worst.subject == one.subject);
            CHECK(worst.evidence.find(one.says) != std::string::npos);
            CHECK_FALSE(worst.why.empty());
            CHECK_FALSE(worst.title.empty());
            const auto fix = worst.remedy.words + " " + worst.remedy.command;
            INFO(fix);
            CHECK(fix.size() > 1);
            CHECK(fix.find(one.fix) != std::string::npos);
        }
    }
}

TEST_CASE("each check finds nothing on a host that is well", "[check][check-case]")
{
    for (const auto& [name, one] : all_cases()) {
        DYNAMIC_SECTION(name)
        {
            const auto findings = found_by(one.check, one.kernel, one.quiet);
            CHECK(findings.empty() == one.silent);
            for (const auto& finding : findings) {
                INFO(finding.evidence);
                CHECK(finding.verdict == Verdict::ok);
            }
        }
    }
}

TEST_CASE("no check of the table is without such a case, and no case without a check", "[check]")
{
    std::multiset<std::string> names;
    for (const auto& check : all_checks()) names.emplace(check.name);
    names.erase("log.known"); // a finding of it has the message's name; log_lines.txt has a line of each
    std::set<std::string> cases;
    for (const auto& [name, one] : all_cases()) cases.insert(one.check);
    for (const auto& message : known_messages())
        if (cases.contains(message.name)) names.insert(message.name);
    const std::set<std::string> checks(names.begin(), names.end());
    CHECK(checks.size() == names.size()); // no name comes twice
    CHECK(cases == checks);
}

TEST_CASE("a host that is well gives nothing but ok", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    for (const auto& finding : run_checks(read_check_facts(machine))) {
        INFO(finding.name << ": " << finding.evidence);
        CHECK(finding.verdict == Verdict::ok);
    }
}
