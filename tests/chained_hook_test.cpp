// The hookscript that a guest had before ours.
#include "catch.hpp"
#include "hook/chained_hook.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machines.hpp"

#include <algorithm>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string script = "/var/lib/vz/snippets/old.sh";

struct Host : FakeSystem {
    Host() : FakeSystem("7.0.2-1-pve")
    {
        add_arc_for_vm_101(*this);
        file("/var/lib/pve-gpu-hook/chained/101.json",
             R"({"volume":"local:snippets/old.sh","path":"/var/lib/vz/snippets/old.sh"})");
        file(script, "#!/bin/sh\n");
        executable(script);
    }

    std::ptrdiff_t at(const std::string& part) const
    {
        const auto found = std::find_if(effects().begin(), effects().end(), [&](const std::string& effect) {
            return effect.find(part) != std::string::npos;
        });
        return found - effects().begin();
    }
    bool ran() const { return at(script) != std::ssize(effects()); }
};

} // namespace

TEST_CASE("another hook runs before ours at the start, with the same arguments", "[chained]")
{
    Host host;
    host.answer_run(script + " 101 pre-start", 0, "mounting the share\n");
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 0);
    CHECK(host.at(script + " 101 pre-start") < host.at("i915/unbind"));
    CHECK(host.said("'local:snippets/old.sh': mounting the share"));
}

TEST_CASE("another hook runs after ours at the stop", "[chained]")
{
    Host host;
    host.answer_run(script + " 101 pre-start", 0, "");
    host.answer_run(script + " 101 post-stop", 0, "");
    run_phase(host, {101, Phase::pre_start, ""});
    run_phase(host, {101, Phase::post_stop, ""});
    CHECK(host.effects().back().find(script + " 101 post-stop") == std::string::npos); // the report is last
    CHECK(host.at("/run/pve-gpu-hook/state/101.json") < host.at(script + " 101 post-stop"));
}

TEST_CASE("another hook that fails at the start stops it before the card is touched", "[chained]")
{
    Host host;
    host.answer_run(script + " 101 pre-start", 3, "no share\n");
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
    CHECK(host.said("failed with exit status 3"));
    CHECK(host.driver_of("0000:03:00.0") == "i915");
}

TEST_CASE("another hook that does not end is killed at its deadline, and the card is not touched",
          "[chained]")
{
    Host host;
    host.add_program(script, [](const std::vector<std::string>&) {
        return SysResult{SysResult::Kind::still_running, 0, "waiting for the NAS\n", 0, ""};
    });
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
    CHECK(host.said("'local:snippets/old.sh': waiting for the NAS"));
    CHECK(host.said("did not end within 120 s ('timeouts': 'chained') and was killed"));
    CHECK(host.at("i915/unbind") == std::ssize(host.effects()));
}

TEST_CASE("a hook that others than root can change is not run", "[chained]")
{
    for (const auto& [owner, mode] : {std::pair{0U, 0777U}, std::pair{0U, 0775U}, std::pair{33U, 0755U}}) {
        Host host;
        host.set_rights(script, owner, mode);
        CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
        CHECK(host.said("others than root can change it"));
        CHECK_FALSE(host.ran());
    }
}

TEST_CASE("a hook in a directory that others than root can write to is not run", "[chained]")
{
    for (const auto& [owner, mode] : {std::pair{0U, 0777U}, std::pair{0U, 0775U}, std::pair{33U, 0755U}})
        for (const auto* const directory : {"/var/lib/vz/snippets", "/var/lib"}) {
            Host host;
            host.set_rights(directory, owner, mode);
            CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
            CHECK(host.said(std::string("put another file in its place, in '") + directory));
            CHECK_FALSE(host.ran());
        }
    Host host; // as in /tmp
    host.set_rights("/var/lib/vz", 0, 01777);
    run_phase(host, {101, Phase::pre_start, ""});
    CHECK(host.ran());
}

TEST_CASE("another hook is told of the stop even if our own part of it failed", "[chained]")
{
    Host host;
    host.file("/etc/pve-gpu-hook/settings.json", R"({"after_stop": "native"})");
    host.answer_run(script + " 101 pre-start", 0, "");
    host.answer_run(script + " 101 post-stop", 0, "unmounted\n");
    run_phase(host, {101, Phase::pre_start, ""});
    host.hang_write("/sys/bus/pci/drivers/vfio-pci/unbind");
    CHECK(run_phase(host, {101, Phase::post_stop, ""}).exit_status() == 1);
    CHECK(host.said("'local:snippets/old.sh': unmounted"));
}

TEST_CASE("a hook that is not there or not executable is named", "[chained]")
{
    Host host;
    host.set_rights(script, 0, 0644);
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
    CHECK(host.said("chmod 755"));
    host.remove_file(script);
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
    CHECK(host.said("it is not there"));
}

TEST_CASE("a note that names no plain absolute path names no hook", "[chained]")
{
    for (const auto* const text : {"", "[]", R"({"volume":"a"})", R"({"volume":"a","path":"x"})",
                                   R"({"volume":"a","path":"/x/../y"})", R"({"volume":1,"path":"/x"})"})
        CHECK_FALSE(parse_chained_hook(text));
}

TEST_CASE("another hook learns where a migrated guest comes from", "[chained]")
{
    Host host;
    host.file("/etc/pve/nodes/pve2/qemu-server/101.conf", "hostpci0: 03:00\nhostpci1: 04:00\n");
    host.answer_run("/usr/bin/env PVE_MIGRATED_FROM=pve2 " + script + " 101 pre-start", 0, "");
    CHECK(run_phase(host, {101, Phase::pre_start, "pve2"}).exit_status() == 0);
}

TEST_CASE("another hook on a storage that does not answer ends the phase within seconds", "[chained]")
{
    Host host;
    host.hang_read(script);
    CHECK(run_phase(host, {101, Phase::pre_start, ""}).exit_status() == 1);
    CHECK(host.said("its storage does not answer"));
    CHECK(host.elapsed() < std::chrono::seconds(15));
}
