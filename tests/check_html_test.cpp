// The report that an administrator attaches to a forum post.
#include "base/text.hpp"
#include "catch.hpp"
#include "check/facts.hpp"
#include "check/report_html.hpp"
#include "check_cases.hpp"
#include "commands/commands.hpp"
#include "ct_hosts.hpp"
#include "has.hpp"
#include "machine/dry_run_system.hpp"
#include "printed_console.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

std::size_t times(const std::string& text, const std::string& part)
{
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

// Secrets wherever a check may quote them.
void add_secrets(FakeSystem& machine)
{
    machine.file("/proc/sys/kernel/hostname", "customer-rack7.example.org\n");
    machine.file("/etc/pve/.members",
                 R"({ "nodename": "customer-rack7", "cluster": { "nodes": 2, "quorate": 1 } })");
    machine.file("/etc/pve/.vmlist", R"({ "ids": { "101": { "node": "customer-rack7", "type": "qemu" } } })");
    replace_guest(machine, guest_without("name", "name: Payroll-DB\n") +
                               "hostpci2: mapping=customer-rack7\nhostpci3: <b>BC:24:11:00:00:01</b>\n");
    add_to_kernel_log(
        machine, "vfio-pci 0000:03:00.0: not ready 1ms after FLR; giving up on Payroll-DB bc:24:11:aa:bb:cc "
                 "00-01-02-03-04-05-06-07");
    add_to_kernel_log(machine,
                      "cannot bind 1b4e28ba-2fa1-11d2-883f-0016d3cca427 192.168.1.10 to vfio: Device busy");
}

std::string report_of(FakeSystem& machine, bool full)
{
    const auto facts = read_check_facts(machine);
    return report_html(facts, run_checks(facts), {full, "2026-11-21 05:12 UTC"});
}

} // namespace

TEST_CASE("the report holds no name, hardware address, serial number or network address", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_secrets(machine);
    const auto html = report_of(machine, false);
    const auto lowered = lower(html);
    for (const auto* secret :
         {"customer", "rack7", "payroll", "bc:24:11", "00-01-02", "1b4e28ba", "192.168"}) {
        INFO(secret);
        CHECK_FALSE(has(lowered, secret));
    }
    for (const auto* instead : {"[MAC]", "[serial]", "[UUID]", "[IP]", "[name of 101]"}) {
        INFO(instead);
        CHECK(has(html, instead));
    }
    CHECK(has(html, "0000:03:00.0")); // an address of PCI is none
    const auto full = report_of(machine, true);
    CHECK(has(full, "customer-rack7"));
    CHECK(has(full, "Payroll-DB"));
}

TEST_CASE("nothing of a host becomes markup in its report, and nothing is fetched by it", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    replace_guest(machine, guest_without("name", "name: <script>alert(1)</script>\n") +
                               "hostpci3: <img src=x onerror='alert(1)'>\x1b[31m\n");
    set_attribute(machine, "0000:00:1c.0", "current_link_speed", "</text><script>x</script>\n");
    for (const bool full : {false, true}) {
        const auto html = report_of(machine, full);
        CHECK_FALSE(has(html, "<script"));
        CHECK_FALSE(has(html, "<img"));
        CHECK_FALSE(has(html, "\x1b"));
        CHECK(has(html, "&lt;img src"));
        CHECK(has(html, "&lt;script&gt;alert(1)&lt;/script&gt;") == full);
        CHECK_FALSE(has(html, "href=\"h")); // within the page only
        CHECK_FALSE(has(html, "url("));
    }
}

TEST_CASE("the tree has the way to each GPU, its neighbours, and counts the rest", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    machine.add_function("", "0000:00:17.0", disk);
    const auto facts = read_check_facts(machine);
    const auto tree = tree_html(facts, run_checks(facts));
    for (const auto* part : {"0000:00:1c.0", "root port, link x8 at 16.0 GT/s PCIe", "switch, upstream port",
                             "Intel Arc A310, 0000:03:00.0", "GPU, 8086:56a6, vfio-pci", "boot display",
                             "VM 101", "1 other function of the host"}) {
        INFO(part);
        CHECK(has(tree, part));
    }
    CHECK_FALSE(has(tree, "0000:00:17.0"));
    CHECK(times(tree, "<ul>") == times(tree, "</ul>"));
    CHECK(times(tree, "<li>") == times(tree, "</li>"));
}

TEST_CASE("in the report errors come before the tree, and each count leads to what it counts", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    replace_guest(machine, guest_without("machine", ""));
    const auto html = report_of(machine, false);
    REQUIRE(has(html, "id=\"error\""));
    CHECK(html.find("id=\"error\"") < html.find("class=\"tree\""));
    CHECK(has(html, "<a class=\"chip error\" href=\"#error\">1 error</a>"));
    CHECK(has(html, "<b>Wanted</b> the machine type has PCI Express"));
}

TEST_CASE("the report as text has the findings without the names, and is written as the other", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_secrets(machine);
    machine.tree().add_directory("/root");
    Printed console;
    Session session{machine, console, {.report = "/root/report.txt"}};
    check(session);
    const auto text = machine.text("/root/report.txt");
    CHECK(text.starts_with("GPU passthrough check, by pve-gpu-install "));
    CHECK(is_report(text));
    CHECK(has(text, "[name of 101]"));
    CHECK(has(text, "log.busy"));
    for (const auto* secret : {"customer", "payroll", "bc:24:11", "192.168"})
        CHECK_FALSE(has(lower(text), secret));
    for (const auto line : split(text, '\n')) CHECK(line.size() < 200);
    machine.file("/root/mine.txt", "not a report\n");
    Session wrong{machine, console, {.report = "/root/mine.txt"}};
    CHECK_THROWS_AS(check(wrong), Error);
}

TEST_CASE("the report counts containers with a GPU's node among the guests, by name only with --full",
          "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_container(machine, 901, "hostname: Payroll-CT\ndev0: /dev/nvidia0\n");
    add_container(machine, 902, "hostname: other\n");
    const auto report = report_of(machine, false);
    CHECK(has(report, "VM 101, container 901</dd>"));
    CHECK_FALSE(has(lower(report), "payroll"));
    CHECK(has(report_of(machine, true), "container 901 Payroll-CT"));
}

TEST_CASE("the report is written for others to read, and not by a dry run", "[check]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    machine.tree().add_directory("/root");
    Printed console;
    DryRunSystem dry(machine);
    Session dry_session{dry, console, {.dry_run = true, .html = "/root/report.html"}};
    CHECK(check(dry_session) == exit_done);
    CHECK_FALSE(machine.exists("/root/report.html"));
    Session session{machine, console, {.html = "/root/report.html"}};
    CHECK(check(session) == exit_done);
    CHECK(has(machine.text("/root/report.html"), "<!doctype html>"));
    CHECK(machine.file_facts("/root/report.html")->mode == 0644);
}
