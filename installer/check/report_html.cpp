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

constexpr std::string_view first_line_of_text = "GPU passthrough check, by pve-gpu-install ";

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

std::string finding_html(const Finding& finding, const DeviceNames& names, const Redactor& redacted)
{
    std::string html = "<article class=\"finding " + to_string(finding.verdict) + "\">\n<header>" +
                       element("span", "verdict", to_string(finding.verdict)) +
                       element("span", "subject", escaped(subject_text(finding, names))) +
                       element("code", "name", escaped(finding.name)) + "</header>\n" +
                       element("p", "wanted", "<b>Wanted</b> " + escaped(finding.title)) + "\n" +
                       element("p", "evidence", "<b>Found</b> " + escaped(redacted(finding.evidence))) +
                       "\n" + element("p", "why", "<b>Why</b> " + escaped(finding.why)) + "\n";
    html += fix_html(finding, redacted);
    if (finding.remedy.install_does_it) html += element("p", "does", "pve-gpu-install does it") + "\n";
    return html + "</article>\n";
}

std::string section_html(const Findings& findings, const EnumName<Verdict>& section, const DeviceNames& names,
                         const Redactor& redacted)
{
    if (count(findings, section.value) == 0) return "";
    std::string html =
        "<section id=\"" + to_string(section.value) + "\">\n<h2>" + std::string(section.name) + "</h2>\n";
    for (const auto& finding : findings)
        if (finding.verdict == section.value) html += finding_html(finding, names, redacted);
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
    return "<section id=\"ok\">\n<h2>Passed</h2>\n<details>\n<summary>" +
           counted(count(findings, Verdict::ok), "check") + "</summary>\n<table>\n" + rows +
           "</table>\n</details>\n</section>\n";
}

// "2 warnings" leads to the first of them.
std::string chips(const Findings& findings)
{
    std::string html;
    for (const auto verdict :
         {Verdict::error, Verdict::warning, Verdict::unknown, Verdict::note, Verdict::ok}) {
        const auto number = count(findings, verdict);
        const auto text = counted_verdicts(number, verdict);
        const auto link = number == 0 ? "" : " href=\"#" + to_string(verdict) + "\"";
        html.append("<a class=\"chip ").append(to_string(verdict)).append("\"").append(link);
        html.append(">").append(text).append("</a>");
    }
    return element("nav", "chips", html);
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

// Name and value.
std::vector<std::pair<std::string, std::string>> host_facts(const CheckFacts& facts,
                                                            const ReportOptions& options)
{
    const auto& host = facts.host;
    std::vector<std::pair<std::string, std::string>> rows;
    if (options.full) rows.emplace_back("Host", host.cluster.node);
    rows.emplace_back("Proxmox VE", host.proxmox);
    rows.emplace_back("Kernel", host.kernel);
    rows.emplace_back("Boot loader", to_string(host.loader) + (host.secure_boot ? ", Secure Boot" : ""));
    rows.emplace_back("IOMMU", host.iommu_on ? "on" : "off");
    rows.emplace_back("Guests", guests_of(facts, options.full));
    rows.emplace_back("Made", options.made_at);
    return rows;
}

std::string host_html(const CheckFacts& facts, const ReportOptions& options)
{
    std::string html = "<dl>";
    for (const auto& [name, value] : host_facts(facts, options)) html += fact(name, value);
    return html + "</dl>\n";
}

std::string what_is_left_out(const ReportOptions& options)
{
    return options.full ? "With the names of host and guests: look through it before you give it to anybody."
                        : "Names of hosts and guests, hardware and network addresses and serial numbers are "
                          "left out.";
}

std::string foot(const ReportOptions& options)
{
    return "<footer>pve-gpu-install " + escaped(version) + ". " + what_is_left_out(options) + "</footer>\n";
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
    const bool html = text.starts_with("<!doctype html>") &&
                      text.find("<footer>pve-gpu-install ") != std::string_view::npos;
    return html || text.starts_with(first_line_of_text);
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
                       element("p", "promise", what_is_left_out(options)) + "\n";
    for (const auto& section : sections) {
        if (section.value == Verdict::unknown) // what has to be done stands above it
            html += "<section>\n<h2>The cards and the way to them</h2>\n<div class=\"tree\">\n" +
                    tree_html(facts, findings) +
                    "<p class=\"legend\">The word behind a device is the worst that was found about it; "
                    "without one there is nothing about it. The link of a bridge is what it runs with "
                    "now.</p>\n</div>\n</section>\n";
        html += section_html(findings, section, facts.names, redacted);
    }
    return html + ok_html(findings, redacted) + foot(options) + "</main>\n</body>\n</html>\n";
}

std::string report_text(const CheckFacts& facts, const Findings& findings, const ReportOptions& options)
{
    const auto redacted = options.full ? Redactor() : Redactor(facts);
    std::string text = std::string(first_line_of_text) + version + "\n" + what_is_left_out(options) + "\n\n";
    for (const auto& [name, value] : host_facts(facts, options))
        text += name + ": " + printable(redacted(value.empty() ? "unknown" : value)) + "\n";
    Screen forum;
    forum.width = 80; // a forum breaks longer lines, or hides their ends
    return text + "\n" + redacted(print_findings(findings, facts.names, forum));
}

} // namespace pvegpu
