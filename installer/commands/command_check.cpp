// pve-gpu-install check
#include "base/error.hpp"
#include "base/text.hpp"
#include "check/explain.hpp"
#include "check/facts.hpp"
#include "check/prospects.hpp"
#include "check/report_html.hpp"
#include "check/show_checks.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "hook/report.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

constexpr mode_t mode_of_report = 0644; // it is made to be given away

std::string time_text(std::int64_t wall_clock)
{
    const auto time = rfc3339(wall_clock);
    return time.substr(0, 10) + " " + time.substr(11, 5) + " UTC"; // the day, the hour and the minute
}

// A log of days has some MiB.
constexpr std::size_t most_of_a_log = 16U << 20U;

std::string text_to_explain(Session& session)
{
    const auto& file = session.options.explain_file;
    if (file.empty())
        return session.options.explain == "-" ? session.console.input(most_of_a_log)
                                              : session.options.explain;
    auto outcome = session.system.read_within(file, most_of_a_log, storage_answers_within);
    if (!outcome.done())
        throw Error(ErrorKind::not_found, {"cannot be read", "name a file with messages"}, file,
                    outcome.error_number);
    return std::move(outcome.text);
}

// Several messages of a log are looked at together; how many of its lines mean nothing to us does not matter.
int explain_text(Session& session)
{
    const auto text = text_to_explain(session);
    const auto answer = explain(text, session.options.vms, session.options.containers);
    if (text.size() == most_of_a_log) session.console.progress("only the first 16 MiB were read");
    session.document = explanations_json(answer);
    session.console.print(answer.empty()
                              ? "no message is known; 'pve-gpu-install check --list' prints those that are\n"
                              : print_explanations(answer));
    return answer.empty() ? exit_failed : exit_done;
}

void require_guest(const CheckFacts& facts, const Guest& wanted)
{
    const auto* guest = facts.survey.find(wanted.vmid);
    if (!facts.pve_problem.empty() || (guest != nullptr && guest->id == wanted)) return;
    throw Error(ErrorKind::not_found,
                {"there is no " + wanted.name() + " on this node", "see '" + wanted.tool() + " list'"});
}

void require_instance_seen(const SysReader& reader, const CheckFacts& facts, const InstanceName& name)
{
    if (facts.pve_problem.empty()) require_instance(reader, facts.survey, name);
}

// Where one guest alone is asked about that is on another node, its start here is looked at.
CheckFacts read_facts(const Session& session)
{
    auto facts = read_check_facts(session.system);
    const auto vmids = session.options.guests();
    const auto* elsewhere = vmids.size() == 1 ? facts.survey.find_elsewhere(vmids.front()) : nullptr;
    return elsewhere == nullptr ? facts : read_check_facts(session.system, elsewhere);
}

std::vector<unsigned> asked_for(const SysReader& reader, const CheckFacts& facts, const Options& options)
{
    for (const auto vmid : options.vms) require_guest(facts, {vmid, GuestKind::vm});
    for (const auto& name : options.instances) require_instance_seen(reader, facts, name);
    for (const auto vmid : options.containers) require_guest(facts, {vmid, GuestKind::container});
    return options.guests();
}

// A report may be written anew; whatever else is there is somebody's.
void require_place(const SysReader& reader, const std::string& path)
{
    const auto directory = path.substr(0, path.rfind('/'));
    if (!directory.empty() && !reader.exists(directory))
        throw Error(ErrorKind::not_found,
                    {"there is no directory " + quote(directory), "make it, or name another"}, path);
    const auto there = reader.file_facts(path);
    if (there && !(there->regular && is_report(reader.read(path).value_or(""))))
        throw Error(ErrorKind::invalid_config,
                    {"is there already and is no report", "name another file, or move it away"}, path);
}

void write_report(Session& session, const std::string& path, const std::string& text)
{
    const bool anew = session.system.file_facts(path).has_value();
    session.system.install_file(path, text, mode_of_report);
    if (!session.options.dry_run)
        session.console.progress("the report is in " + quote(path) +
                                 (anew ? ", in the place of an older one" : ""));
}

void write_reports(Session& session, const CheckFacts& facts, const Findings& findings)
{
    const auto& options = session.options;
    const ReportOptions what{options.full, time_text(session.system.wall_clock())};
    if (!options.html.empty()) write_report(session, options.html, report_html(facts, findings, what));
    if (!options.report.empty()) write_report(session, options.report, report_text(facts, findings, what));
}

// What a guest cannot do on a node that it is not meant for is no failure.
int check_cluster(Session& session)
{
    const auto prospects = read_prospects(session.system, session.options.guests());
    session.document = prospects_json(prospects);
    session.console.print(print_prospects(prospects, session.console.screen()));
    return exit_done;
}

} // namespace

int check(Session& session)
{
    const auto& options = session.options;
    if (!options.explain.empty() || !options.explain_file.empty()) return explain_text(session);
    if (options.list) {
        session.document = checks_json();
        session.console.print(checks_list());
        return exit_done;
    }
    require_host_of(session.system, options);
    if (options.cluster) return check_cluster(session);
    for (const auto& path : {options.html, options.report})
        if (!path.empty()) require_place(session.system, path);
    auto facts = read_facts(session);
    facts.asked = asked_for(session.system, facts, options);
    for (const auto& guest : facts.survey.guests)
        if (!guest.other_node.empty())
            session.console.print(guest.id.name() + " is on the node " + quote(guest.other_node) +
                                  "; this is what its start here would meet.\n\n");
    const auto findings = run_checks(facts);
    session.document = findings_json(findings, facts.names, facts.survey);
    session.console.print(print_findings(findings, facts.names, session.console.screen()));
    write_reports(session, facts, findings);
    return worst(findings) == Verdict::error ? exit_failed : exit_done;
}

} // namespace pvegpu
