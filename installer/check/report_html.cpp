#include "check/report_html.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/facts.hpp"
#include "check/findings.hpp"
#include "check/report_style.hpp"
#include "check/show_checks.hpp"
#include "version.hpp"

#include <array>

namespace pvegpu {
namespace {

constexpr std::array sections{EnumName{"Errors", Verdict::error}, EnumName{"Warnings", Verdict::warning},
                              EnumName{"Unknown", Verdict::unknown}, EnumName{"Notes", Verdict::note}};

std::string element(const std::string& tag, const std::string& css_class, const std::string& content)
{
    return "<" + tag + " class=\"" + css_class + "\">" + content + "</" + tag + ">";
}

std::string fix_html(const Finding& finding, const Redactor& redacted)
{
    const auto& [words, install_does_it, command] = finding.remedy;
    if (words.empty() && command.empty()) return "";
    const auto code = command.empty() ? "" : "<code>" + escaped(redacted(command)) + "</code> ";
    return element("p", "fix", "<b>Fix</b> " + code + escaped(redacted(words))) + "\n";
}

std::string finding_html(const Finding& finding, const Redactor& redacted)
{
    std::string html = "<article class=\"finding " + to_string(finding.verdict) + "\">\n<header>" +
                       element("span", "verdict", to_string(finding.verdict)) +
                       element("code", "name", escaped(finding.name)) +
                       element("span", "subject", escaped(finding.subject)) + "</header>\n" +
                       element("p", "evidence", escaped(redacted(finding.evidence))) + "\n" +
                       element("p", "why", escaped(finding.why)) + "\n";
    html += fix_html(finding, redacted);
    if (finding.remedy.install_does_it) html += element("p", "does", "pve-gpu-install does it") + "\n";
    return html + "</article>\n";
}

std::string section_html(const Findings& findings, const EnumName<Verdict>& section, const Redactor& redacted)
{
    if (count(findings, section.value) == 0) return "";
    std::string html = "<section>\n<h2>" + std::string(section.name) + "</h2>\n";
    for (const auto& finding : findings)
        if (finding.verdict == section.value) html += finding_html(finding, redacted);
    return html + "</section>\n";
}

std::string ok_html(const Findings& findings, const Redactor& redacted)
{
    std::string rows;
    for (const auto& finding : findings)
        if (finding.verdict == Verdict::ok)
            rows += "<tr><td><code>" + escaped(finding.name) + "</code></td><td>" + escaped(finding.subject) +
                    "</td><td>" + escaped(redacted(finding.evidence)) + "</td></tr>\n";
    if (rows.empty()) return "";
    return "<section>\n<h2>Passed</h2>\n<details>\n<summary>" +
           counted(count(findings, Verdict::ok), "check") + "</summary>\n<table>\n" + rows +
           "</table>\n</details>\n</section>\n";
}

std::string chips(const Findings& findings)
{
    std::string html;
    for (const auto verdict :
         {Verdict::error, Verdict::warning, Verdict::unknown, Verdict::note, Verdict::ok}) {
        const auto number = std::to_string(count(findings, verdict));
        html += element("span", "chip " + to_string(verdict), "<b>" + number + "</b> " + to_string(verdict));
    }
    return element("div", "chips", html);
}

std::string fact(const std::string& name, const std::string& value)
{
    return "<dt>" + name + "</dt><dd>" + escaped(value.empty() ? "unknown" : value) + "</dd>";
}

std::string guests_of(const CheckFacts& facts, bool full)
{
    std::string text;
    for (const auto& guest : facts.survey.guests) {
        const bool has_nodes = contains(facts.containers, guest.id.vmid, &ContainerFacts::vmid);
        if (guest.passed.empty() && !has_nodes) continue;
        text += (text.empty() ? "" : ", ") + guest.id.name();
        if (const auto name = guest.config.setting(guest.id.is_container() ? "hostname" : "name");
            full && !name.empty())
            text += " " + name;
    }
    return text.empty() ? "none has a device" : text;
}

std::string host_html(const CheckFacts& facts, const ReportOptions& options)
{
    const auto& host = facts.host;
    std::string html = "<dl>";
    if (options.full) html += fact("Host", host.cluster.node);
    return html + fact("Proxmox VE", host.proxmox) + fact("Kernel", host.kernel) +
           fact("Boot loader", to_string(host.loader) + (host.secure_boot ? ", Secure Boot" : "")) +
           fact("IOMMU", host.iommu_on ? "on" : "off") + fact("Guests", guests_of(facts, options.full)) +
           fact("Made", options.made_at) + "</dl>\n";
}

std::string foot(const ReportOptions& options)
{
    return "<footer>pve-gpu-install " + escaped(version) + ". " +
           (options.full
                ? "With the names of host and guests: look through it before you give it to anybody."
                : "Names of hosts and guests, hardware and network addresses and serial numbers are left "
                  "out.") +
           "</footer>\n";
}

} // namespace

std::string escaped(std::string_view text)
{
    constexpr std::array entities{std::pair{'&', "&amp;"}, std::pair{'<', "&lt;"}, std::pair{'>', "&gt;"},
                                  std::pair{'"', "&quot;"}, std::pair{'\'', "&#39;"}};
    std::string html;
    for (const char c : printable(text)) {
        const auto* entity = find_where(entities, [c](const auto& each) { return each.first == c; });
        if (entity == nullptr)
            html += c;
        else
            html += entity->second;
    }
    return html;
}

bool is_report(std::string_view text)
{
    return text.starts_with("<!doctype html>") &&
           text.find("<footer>pve-gpu-install ") != std::string_view::npos;
}

std::string report_html(const CheckFacts& facts, const Findings& findings, const ReportOptions& options)
{
    const auto redacted = options.full ? Redactor() : Redactor(facts);
    std::string html = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                       "'unsafe-inline'\">\n"
                       "<title>GPU passthrough: " +
                       escaped(summary(findings)) + "</title>\n<style>\n" + std::string(report_style) +
                       "</style>\n</head>\n<body>\n<main>\n<h1>GPU passthrough check</h1>\n" +
                       chips(findings) + "\n" + host_html(facts, options) +
                       "<section>\n<h2>The cards and the way to them</h2>\n<div class=\"tree\">\n" +
                       tree_svg(facts, findings) + "</div>\n</section>\n";
    for (const auto& section : sections) html += section_html(findings, section, redacted);
    return html + ok_html(findings, redacted) + foot(options) + "</main>\n</body>\n</html>\n";
}

} // namespace pvegpu
