// pve-gpu-install: prepares the host and attaches the hook to guests.

#include "commands.hpp"
#include "dry_run_system.hpp"
#include "error.hpp"
#include "harden_process.hpp"
#include "linux_system.hpp"
#include "parse_options.hpp"
#include "text.hpp"
#include "version.hpp"

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace pvegpu;
namespace options = boost::program_options;

struct Command {
    std::string_view name;
    int (*run)(Session&);
    std::string_view arguments, help;
};

constexpr std::array commands{
    Command{"install", install, "--vm N [--ct N ...]",
            "prepare the host and attach the hook to these guests"},
    Command{"status", status, "", "cards, guests, the hook's last runs"},
    Command{"try", try_recovery, "--vm N", "recover the VM's GPU twice, with the VM stopped"},
    Command{"detach", detach, "--vm N [--ct N ...]", "give these guests back what they had"},
    Command{"uninstall", uninstall, "", "undo everything that 'install' has done on this host"},
    Command{"capture", capture, "", "print this host as a test fixture, without secrets"},
    Command{"check", check, "[--vm N ...] [--ct N ...]", "what is wrong with this host, and how to mend it"},
    Command{"verify", verify, "--vm N | --ct N", "what works of the GPU inside a guest that runs"},
};

// What the package's maintainer scripts call; no word of them in the help.
constexpr std::array package_commands{
    Command{"package-configured", package_configured, "", ""},
    Command{"package-remove", package_remove, "", ""},
    Command{"package-purge", package_purge, "", ""},
};

struct OptionHelp {
    std::string_view option, help;
};

constexpr std::array option_helps{
    OptionHelp{"--vm N", "the VM, 100 to 999999999; may be repeated"},
    OptionHelp{"--ct N", "a container; may be repeated"},
    OptionHelp{"--gpu LIST", "the containers' GPUs: 0,1 as in /dev/nvidiaN, or 0000:01:00.0"},
    OptionHelp{"--replace-hard-coded", "containers: devN in place of lxc.mount.entry and device numbers"},
    OptionHelp{"--host", "prepare the host only, attach nothing"},
    OptionHelp{"--blacklist", "also blacklist the native drivers of the VMs' GPUs"},
    OptionHelp{"--dry-run", "show what would be changed, and stop"},
    OptionHelp{"--yes", "do not ask; hard-coded lines stay without '--replace-hard-coded'"},
    OptionHelp{"--reboot", "reboot if it is needed"},
    OptionHelp{"--html FILE",
               "check: also write a report to attach to a forum post; with '--root' below DIR"},
    OptionHelp{"--full", "check: with the names of host and guests in the report"},
    OptionHelp{"--explain TEXT",
               "check: what a message of the kernel, QEMU or Proxmox means; looks at nothing"},
    OptionHelp{"--list", "check: print what it looks at"},
    OptionHelp{"--json", "print one JSON document on standard output"},
    OptionHelp{"--root DIR", "put DIR before every path; no program is run then, they are listed"},
    OptionHelp{"--help", "print this"},
    OptionHelp{"--version", "print the version"},
};

std::string row(std::string left, std::string_view right)
{
    constexpr std::size_t width = 32;
    left.resize(std::max(left.size() + 1, width), ' ');
    return "  " + left + std::string(right) + "\n";
}

std::string help_text()
{
    std::string text = "usage: pve-gpu-install [COMMAND] [OPTIONS]\n\nWithout a command it is 'install'.\n\n";
    for (const auto& command : commands)
        text += row(std::string(command.name) + " " + std::string(command.arguments), command.help);
    text += "\n";
    for (const auto& [option, help] : option_helps) text += row(std::string(option), help);
    return text +
           "\nExit status: 0 done or all well, 1 failed, 2 wrong usage, 3 done, but a reboot is needed.\n";
}

class UsageError : public std::exception {
public:
    explicit UsageError(std::string text) : text_(std::move(text)) {}
    const char* what() const noexcept override { return text_.c_str(); }

private:
    std::string text_;
};

// Until the question is answered nothing is changed, so Ctrl-C may end the process; LinuxSystem has blocked
// it.
class SignalsLetThrough {
public:
    SignalsLetThrough()
    {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, &before_);
    }
    SignalsLetThrough(const SignalsLetThrough&) = delete;
    SignalsLetThrough& operator=(const SignalsLetThrough&) = delete;
    ~SignalsLetThrough() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

class Terminal : public Console {
public:
    void print(std::string_view text) override { std::fwrite(text.data(), 1, text.size(), stdout); }
    void progress(std::string_view line) override
    {
        std::fflush(stdout);
        std::fprintf(stderr, "pve-gpu-install: %s\n", printable(line).c_str());
    }
    bool can_ask() const override { return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1; }
    bool ask(std::string_view question) override
    {
        std::printf("%s [y/N] ", std::string(question).c_str());
        std::fflush(stdout);
        std::array<char, 64> answer{};
        const SignalsLetThrough ended_by_signals;
        if (std::fgets(answer.data(), answer.size(), stdin) == nullptr) return false;
        const auto word = lower(trim(answer.data()));
        return word == "y" || word == "yes";
    }
    bool colours() const override
    {
        const char* const no = std::getenv("NO_COLOR"); // NOLINT(concurrency-mt-unsafe): there is one thread
        return isatty(STDOUT_FILENO) == 1 && (no == nullptr || *no == '\0');
    }
};

// A tree of files runs no programs.
class ListedPrograms : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;
    Outcome run(const std::vector<std::string>& arguments, Milliseconds /*timeout*/) override
    {
        say(Severity::info, "not run, because of '--root': " + join(arguments, " "));
        return {};
    }
};

options::variables_map parse(int argc, const char* const* argv)
{
    options::options_description known;
    auto add = known.add_options();
    for (const auto* flag : {"help", "version", "host", "blacklist", "dry-run", "yes", "reboot", "json",
                             "full", "list", "replace-hard-coded"})
        add(flag, "");
    for (const auto* text : {"html", "explain"}) add(text, options::value<std::string>());
    add("vm", options::value<std::vector<std::string>>());
    add("ct", options::value<std::vector<std::string>>());
    add("gpu", options::value<std::vector<std::string>>());
    add("root", options::value<std::string>());
    return parse_options(known, argc, argv);
}

std::vector<std::string> strings(const options::variables_map& values, const char* name)
{
    return values.count(name) != 0 ? values[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::vector<unsigned> vmids(const options::variables_map& values, const char* name)
{
    std::vector<unsigned> numbers;
    for (const auto& text : strings(values, name)) {
        const auto number = parse_decimal(text);
        if (text.starts_with('0') || !number || *number < 100 || *number > 999'999'999)
            throw UsageError("not a VMID: " + quote(text));
        if (std::find(numbers.begin(), numbers.end(), *number) == numbers.end()) numbers.push_back(*number);
    }
    return numbers;
}

std::string text_of(const options::variables_map& values, const char* name)
{
    if (values.count(name) == 0) return "";
    auto text = values[name].as<std::string>();
    if (text.empty()) throw UsageError("'--" + std::string(name) + "' needs a text");
    return text;
}

// Below a root every path is the root's.
std::string report_path(const options::variables_map& values)
{
    auto path = text_of(values, "html");
    if (path.empty() || path.starts_with('/')) return path;
    return (values.count("root") != 0 ? "" : boost::filesystem::current_path().string()) + "/" + path;
}

Options options_of(const options::variables_map& values)
{
    const auto has = [&](const char* name) { return values.count(name) != 0; };
    return {vmids(values, "vm"),
            vmids(values, "ct"),
            has("host"),
            has("blacklist"),
            has("dry-run"),
            has("yes"),
            has("reboot"),
            has("json"),
            report_path(values),
            text_of(values, "explain"),
            has("full"),
            has("list"),
            strings(values, "gpu"),
            has("replace-hard-coded")};
}

const Command& command_of(const options::variables_map& values)
{
    const auto words = strings(values, "words");
    if (words.size() > 1) throw UsageError("one command at a time, not " + quote(words[1]) + " too");
    const std::string name = words.empty() ? "install" : words.front();
    for (const auto& command : commands)
        if (command.name == name) return command;
    for (const auto& command : package_commands)
        if (command.name == name) return command;
    throw UsageError("not a command: " + quote(name));
}

std::string root_of(const options::variables_map& values)
{
    if (values.count("root") == 0) return "";
    auto root = values["root"].as<std::string>();
    // Not the live host: DIR comes from a variable that a script forgot to set.
    if (root.empty()) throw UsageError("'--root' needs a directory");
    return root;
}

int act(const Command& command, const options::variables_map& values)
{
    constexpr const char* name = "pve-gpu-install";
    const auto root = root_of(values);
    const auto given = options_of(values);
    LinuxSystem machine(name, root);
    ListedPrograms listed(machine);
    System& door = root.empty() ? static_cast<System&>(machine) : listed;
    DryRunSystem dry(door);
    System& system = given.dry_run ? dry : door;
    Terminal terminal;
    Session session{system, terminal, given, [&] { return std::make_unique<LinuxSystem>(name, root); },
                    root.empty()};
    try {
        const bool looks = given.explain.empty() && !given.list;
        if (looks && root.empty() && geteuid() != 0)
            throw Error(Reason::failed, "only root can look at all of the host; run it as root");
        return command.run(session);
    } catch (const std::exception& error) {
        std::fflush(stdout);
        system.say(Severity::error, error.what());
        return exit_failed;
    }
}

} // namespace

int main(int argc, char** argv)
{
    harden_process();
    try {
        const auto values = parse(argc, argv);
        const auto words = strings(values, "words");
        if (values.count("help") != 0 || words == std::vector<std::string>{"help"})
            return std::fputs(help_text().c_str(), stdout) < 0 ? 1 : 0;
        if (values.count("version") != 0) return std::printf("pve-gpu-install %s\n", version) < 0 ? 1 : 0;
        if (argc < 2) throw UsageError("which VM? 'pve-gpu-install --vm 101' attaches the hook to VM 101");
        return act(command_of(values), values);
    } catch (const options::error& error) {
        std::fprintf(stderr, "pve-gpu-install: %s; see '--help'\n", printable(error.what()).c_str());
    } catch (const UsageError& error) {
        std::fprintf(stderr, "pve-gpu-install: %s; see '--help'\n", error.what());
    }
    return exit_usage;
}
