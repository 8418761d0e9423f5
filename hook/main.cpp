// pve-gpu-hook VMID PHASE, as Proxmox calls it.

#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "base/parse_options.hpp"
#include "base/problem_json.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "containers/prepare.hpp"
#include "events/read_events.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "machine/harden_process.hpp"
#include "machine/linux_system.hpp"
#include "version.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace {

using namespace pvegpu;
namespace options = boost::program_options;

constexpr int exit_usage = 2;

constexpr const char* help_text =
    "usage: pve-gpu-hook [--dry-run] [--json] [--root DIR] VMID PHASE\n"
    "       pve-gpu-hook [--root DIR] --nodes\n"
    "       pve-gpu-hook --events VMID\n"
    "\n"
    "Proxmox VE runs this as a guest's hookscript. At pre-start it frees the guest's GPU, resets its card,\n"
    "takes it off the PCI bus, finds it again and leaves it on vfio-pci. For a container it loads the "
    "driver\n"
    "and makes the device nodes that the container names.\n"
    "\n"
    "  VMID        100 to 999999999\n"
    "  PHASE       pre-start, post-start, pre-stop or post-stop\n"
    "  --nodes     make the device nodes that the containers of this host name, as at boot\n"
    "  --events    start the VM anew when its guest reboots by itself (pve-gpu-hook-events@VMID)\n"
    "  --dry-run   print the plan and change nothing\n"
    "  --json      print the plan or the report as JSON on standard output\n"
    "  --root DIR  put DIR before every path that is read or written\n"
    "  --help, -h  print this\n"
    "  --version, -V  print the version\n"
    "\n"
    "Exit status: 0 done or nothing to do, 1 the start must not go on or the phase\n"
    "failed, 2 wrong usage.\n";

struct Command {
    Request request;
    bool dry_run = false;
    bool json = false;
    std::string root;
};

// The whole answer to '--json' where there is neither a plan nor a report.
void print_problem(const std::string& schema, const Json& problem)
{
    std::fputs(json_answer(schema, {}, problem).c_str(), stdout);
}

int say_usage(const std::string& problem, bool json)
{
    if (json) print_problem("usage", usage_problem(problem));
    std::fprintf(stderr,
                 "pve-gpu-hook: %s\n"
                 "usage: pve-gpu-hook [--dry-run] [--json] [--root DIR] VMID PHASE\n"
                 "       pve-gpu-hook [--root DIR] --nodes\n"
                 "       pve-gpu-hook --events VMID\n",
                 printable(problem).c_str());
    return exit_usage;
}

options::variables_map parse(int argc, const char* const* argv)
{
    options::options_description known;
    known.add_options()("help,h", "")("version,V", "")("dry-run", "")("json", "")("nodes", "")("events", "")(
        "root", options::value<std::string>());
    return parse_options(known, argc, argv);
}

std::vector<std::string> words_in(const options::variables_map& values)
{
    return values.count("words") != 0 ? values["words"].as<std::vector<std::string>>()
                                      : std::vector<std::string>{};
}

Command command_from(const options::variables_map& values)
{
    const auto words = words_in(values);
    if (words.size() != 2) throw options::error("it takes two arguments, a VMID and a phase");
    const auto vmid = parse_vmid(words[0]);
    if (!vmid) throw options::error("not a VMID: " + quote(words[0]));
    const auto* const phase = find_name(phase_names, words[1]);
    if (phase == phase_names.end()) throw options::error("not a phase: " + quote(words[1]));
    const char* const node = std::getenv("PVE_MIGRATED_FROM"); // NOLINT(concurrency-mt-unsafe)
    return {{*vmid, phase->value, node != nullptr ? node : ""},
            values.count("dry-run") != 0,
            values.count("json") != 0,
            root_of(values)};
}

// What asks nothing of a machine, for people or for programs.
int show(const std::string& name, const std::string& value, const std::string& text,
         const options::variables_map& values)
{
    const auto answer = values.count("json") == 0 ? text : json_answer(name, {{name, value}});
    return std::fputs(answer.c_str(), stdout) < 0 ? 1 : 0;
}

int dry_run(LinuxSystem& system, const Command& command)
{
    const auto plan = plan_phase(system, command.request);
    for (const auto& warning : plan.all_warnings()) system.say(Severity::warning, to_string(warning));
    if (plan.refused) system.say(Severity::error, to_string(plan.refused->advice));
    const auto text = command.json
                          ? plan_json(plan)
                          : plan_heading(plan, device_names(system, gpus_of(plan))) + plan_text(plan);
    std::fputs(text.c_str(), stdout);
    return plan.refused ? 1 : 0;
}

int run(LinuxSystem& system, const Command& command)
{
    const auto report = run_phase(system, command.request);
    if (command.json) std::fputs(report_json(report).c_str(), stdout);
    return report.exit_status();
}

int act(const Command& command)
{
    LinuxSystem system("pve-gpu-hook", command.root);
    try {
        return command.dry_run ? dry_run(system, command) : run(system, command);
    } catch (const std::exception& error) {
        system.say(Severity::error, error.what());
        if (command.json) print_problem(command.dry_run ? "plan" : "report", problem_json(problem_of(error)));
        return 1;
    }
}

int prepare_nodes(const options::variables_map& values)
{
    if (values.count("words") != 0 || values.count("dry-run") != 0 || values.count("json") != 0)
        throw options::error("'--nodes' stands alone");
    LinuxSystem system("pve-gpu-hook", root_of(values));
    try {
        prepare_nodes_at_boot(system);
        return 0;
    } catch (const std::exception& error) {
        system.say(Severity::error, error.what());
        return 1;
    }
}

std::string environment(const char* name)
{
    const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): there is one thread
    return value != nullptr ? value : "";
}

int read_events(const options::variables_map& values)
{
    const auto words = words_in(values);
    const auto vmid = words.size() == 1 ? parse_vmid(words.front()) : std::nullopt;
    for (const auto* other : {"dry-run", "json", "root", "nodes"})
        if (values.count(other) != 0) throw options::error("'--events' and a VMID stand alone");
    if (!vmid) throw options::error("'--events' takes one argument, a VMID");
    const OpenSystem open = [&] {
        // Those of systems that are closed end a moment later, and would count until this process does.
        while (waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        auto system = std::make_unique<LinuxSystem>("pve-gpu-hook", "");
        system->log_for_guest("VM " + std::to_string(*vmid));
        return system;
    };
    try {
        read_events(open, *vmid,
                    ServiceManager(environment("NOTIFY_SOCKET"), environment("LISTEN_PID"),
                                   environment("LISTEN_FDS")));
        return 0;
    } catch (const std::exception& error) {
        open()->say(Severity::error, error.what());
        return 1;
    }
}

int answer(int argc, const char* const* argv)
{
    try {
        const auto values = parse(argc, argv);
        if (values.count("help") != 0) return show("help", help_text, help_text, values);
        if (values.count("version") != 0)
            return show("version", version, "pve-gpu-hook " + std::string(version) + "\n", values);
        if (values.count("events") != 0) return read_events(values);
        return values.count("nodes") != 0 ? prepare_nodes(values) : act(command_from(values));
    } catch (const options::error& error) {
        return say_usage(error.what(), asks_for_json(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pve-gpu-hook: %s\n", error.what());
        if (asks_for_json(argc, argv)) print_problem("error", problem_json(problem_of(error)));
        return 1;
    }
}

} // namespace

int main(int argc, char** argv)
{
    harden_process();
    try {
        return answer(argc, argv);
    } catch (const std::exception& error) { // of an answer to an error: no memory is left
        std::fprintf(stderr, "pve-gpu-hook: %s\n", error.what());
        return 1;
    }
}
