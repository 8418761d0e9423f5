#include "commands/arguments.hpp"

#include "base/did_you_mean.hpp"
#include "base/lists.hpp"
#include "base/parse_options.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <vector>

namespace pvegpu {
namespace {

namespace options = boost::program_options;

constexpr std::array commands{
    Command{"install", install, "--vm N | --ct N | --incus NAME ...",
            "prepare the host and attach the hook to these guests",
            "which VM? 'pve-gpu-install --vm 101' attaches the hook to VM 101"},
    Command{"status", status, "[--vm N ...]", "cards, guests, the hook's last runs", ""},
    Command{"try", try_recovery, "--vm N | --incus NAME", "recover the VM's GPU twice, with the VM stopped",
            "which VM? 'pve-gpu-install try --vm 101' tries the recovery of its GPU"},
    Command{
        "start", start, "--incus NAME", "start a VM of Incus or LXD with a clean card",
        "which VM? 'pve-gpu-install start --incus web' starts the VM 'web' of Incus or LXD; Proxmox's are "
        "started by 'qm start'"},
    Command{"detach", detach, "--vm N | --ct N | --incus NAME ...", "give these guests back what they had",
            "which VM? 'pve-gpu-install detach --vm 101' detaches the hook from VM 101"},
    Command{"uninstall", uninstall, "", "undo everything that 'install' has done on this host", ""},
    Command{"capture", capture, "[--guest N]", "print this host as files for a bug report, without secrets",
            ""},
    Command{"check", check, "[--vm N ...] [--ct N ...]", "what is wrong with this host, and how to fix it",
            ""},
    Command{"verify", verify, "--vm N | --ct N | --incus NAME",
            "what works of the GPU inside a guest that runs",
            "which guest? 'pve-gpu-install verify --ct 901' looks into container 901"},
};

// What the package's maintainer scripts call, and what is done without any word; not in the help.
constexpr std::array package_commands{
    Command{"package-configured", package_configured, "", "", ""},
    Command{"package-remove", package_remove, "", "", ""},
    Command{"package-purge", package_purge, "", "", ""},
};
constexpr Command without_words{"", overview, "", "", ""};

// An option that a command is not named for would be a wish that is not granted: it is refused.
struct Option {
    std::string_view name, value; // what the help calls its value; a flag has none
    std::string_view of;          // the commands that take it, each between blanks; empty: all of them
    std::string_view help;
    char letter = 0;
    bool list = false; // it may be repeated

    bool is_of(const Command& command) const
    {
        return of.empty() || of.find(" " + std::string(command.name) + " ") != std::string_view::npos;
    }
};

constexpr std::array option_table{
    Option{"vm", "N", " install status try detach check verify ",
           "the VM, 100 to 999999999; '101,102' or repeated for several", 0, true},
    Option{"ct", "N", " install status detach check verify ",
           "a container; '901,902' or repeated for several", 0, true},
    Option{"incus", "NAME", " install status try start detach check verify ",
           "a VM of Incus or LXD, 'web' or 'PROJECT/web'; 'web,db' or repeated for several", 0, true},
    Option{"gpu", "LIST", " install ", "the containers' GPUs: 0,1 as in /dev/nvidiaN, or 0000:01:00.0", 0,
           true},
    Option{"mig", "LIST", " install ",
           "the containers' MIG instances: 1/0 (GPU instance/compute instance), or 1 for all of it", 0, true},
    Option{"replace-hard-coded", "", " install ",
           "containers: devN in place of lxc.mount.entry and device numbers"},
    Option{
        "guest-reboot", "WHAT", " install ",
        "when a VM's guest reboots by itself: 'clean', its card is recovered, or 'leave'; without it clean "
        "where the card cannot reset itself"},
    Option{"host", "", " install ", "prepare the host only, attach nothing"},
    Option{"blacklist", "", " install ", "also blacklist the native drivers of the VMs' GPUs"},
    Option{"dry-run", "", "", "show what would be changed, and stop"},
    Option{"yes", "", "", "do not ask; hard-coded lines stay without '--replace-hard-coded'"},
    Option{"reboot", "", " install ", "reboot if it is needed"},
    Option{"html", "FILE", " check ",
           "also write a report to attach to a forum post; with '--root' below DIR"},
    Option{"report", "FILE", " check ", "the same as text, to paste into a forum"},
    Option{"full", "", " check ", "with the names of host and guests in the report"},
    Option{"explain", "TEXT", " check ",
           "what a message of the kernel, QEMU or Proxmox means; '-' reads standard input"},
    Option{"explain-file", "FILE", " check ", "the same for a whole log; neither looks at the host"},
    Option{"list", "", " check ", "print what it looks at"},
    Option{"cluster", "", " check ",
           "for each guest of the cluster with a GPU: whether it would start on this node, and why not"},
    Option{"guest", "N", " capture ", "write a directory with all that concerns this VM or container"},
    Option{"output", "DIR", " capture ", "that directory; without it 'capture-N' where you are"},
    Option{"json", "", "", "print one JSON document on standard output"},
    Option{"root", "DIR", "", "put DIR before every path; no program is run then, they are listed"},
    Option{"help", "", "", "print this; 'help COMMAND' or 'COMMAND --help' of one command", 'h'},
    Option{"version", "", "", "print the version", 'V'},
};

std::string row(std::string left, std::string_view right)
{
    constexpr std::size_t width = 32;
    left.resize(std::max(left.size() + 1, width), ' ');
    return "  " + left + std::string(right) + "\n";
}

// "--vm N", "--help, -h"
std::string spelled(const Option& option)
{
    auto text = "--" + std::string(option.name);
    if (!option.value.empty()) text += " " + std::string(option.value);
    if (option.letter != 0) text += std::string(", -") + option.letter;
    return text;
}

options::variables_map parse(int argc, const char* const* argv)
{
    options::options_description known;
    auto add = known.add_options();
    for (const auto& option : option_table) {
        auto name = std::string(option.name);
        if (option.letter != 0) name += std::string(",") + option.letter;
        if (option.value.empty())
            add(name.c_str(), "");
        else if (option.list)
            add(name.c_str(), options::value<std::vector<std::string>>());
        else
            add(name.c_str(), options::value<std::string>());
    }
    return parse_options(known, argc, argv);
}

std::vector<std::string> strings(const options::variables_map& values, const char* name)
{
    return values.count(name) != 0 ? values[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

unsigned vmid_of(const std::string& text)
{
    const auto number = parse_vmid(text);
    if (!number) throw options::error("not a VMID: " + quote(text));
    return *number;
}

std::vector<unsigned> vmids(const options::variables_map& values, const char* name)
{
    std::vector<unsigned> numbers;
    for (const auto& text : strings(values, name))
        for (const auto part : split(text, ','))
            if (const auto number = vmid_of(std::string(trim(part))); !contains(numbers, number))
                numbers.push_back(number);
    return numbers;
}

std::vector<InstanceName> instance_names(const options::variables_map& values)
{
    std::vector<InstanceName> names;
    for (const auto& text : strings(values, "incus"))
        for (const auto part : split(text, ',')) {
            const auto name = parse_instance_name(trim(part));
            if (!name) throw options::error("not a name of Incus or LXD: " + quote(trim(part)));
            if (!contains(names, *name)) names.push_back(*name);
        }
    return names;
}

std::string text_of(const options::variables_map& values, const char* name)
{
    if (values.count(name) == 0) return "";
    auto text = values[name].as<std::string>();
    if (text.empty()) throw options::error("'--" + std::string(name) + "' needs a text");
    return text;
}

// Below a root every path is the root's.
std::string absolute(const std::string& path, const options::variables_map& values)
{
    if (path.empty() || path.starts_with('/')) return path;
    return (values.count("root") != 0 ? "" : boost::filesystem::current_path().string()) + "/" + path;
}

std::optional<unsigned> captured_guest(const options::variables_map& values)
{
    const auto text = text_of(values, "guest");
    if (text.empty() && values.count("output") != 0)
        throw options::error("'--output' is for a guest, and no '--guest' names one");
    return text.empty() ? std::nullopt : std::optional(vmid_of(text));
}

std::string capture_directory(const options::variables_map& values)
{
    const auto named = text_of(values, "output");
    return absolute(named.empty() ? "capture-" + text_of(values, "guest") : named, values);
}

GuestReboot guest_reboot_of(const options::variables_map& values)
{
    const auto text = text_of(values, "guest-reboot");
    if (text.empty()) return GuestReboot::where_needed;
    const auto* const known = find_name(guest_reboot_names, text);
    if (known == guest_reboot_names.end())
        throw options::error("'--guest-reboot' is 'clean' or 'leave', not " + quote(text));
    return known->value;
}

Options options_of(const options::variables_map& values)
{
    const auto has = [&](const char* name) { return values.count(name) != 0; };
    return {.vms = vmids(values, "vm"),
            .containers = vmids(values, "ct"),
            .instances = instance_names(values),
            .host = has("host"),
            .blacklist = has("blacklist"),
            .dry_run = has("dry-run"),
            .yes = has("yes"),
            .reboot = has("reboot"),
            .json = has("json"),
            .html = absolute(text_of(values, "html"), values),
            .report = absolute(text_of(values, "report"), values),
            .explain = text_of(values, "explain"),
            .explain_file = absolute(text_of(values, "explain-file"), values),
            .full = has("full"),
            .list = has("list"),
            .cluster = has("cluster"),
            .gpus = strings(values, "gpu"),
            .replace_hard_coded = has("replace-hard-coded"),
            .mig = strings(values, "mig"),
            .guest = captured_guest(values),
            .output = capture_directory(values),
            .guest_reboot = guest_reboot_of(values)};
}

bool is_number(const std::string& word)
{
    return consists_of(word, is_digit);
}

const Command& command_named(const std::string& name)
{
    for (const auto& command : commands)
        if (command.name == name) return command;
    for (const auto& command : package_commands)
        if (command.name == name) return command;
    if (is_number(name))
        throw options::error("not a command: " + quote(name) + "; did you mean '--vm " + name + "'?");
    std::vector<std::string> known{"help"};
    for (const auto& command : commands) known.emplace_back(command.name);
    throw options::error("not a command: " + quote(name) + did_you_mean(name, known));
}

const Command& command_of(const options::variables_map& values, const std::vector<std::string>& words)
{
    if (words.size() > 1)
        throw options::error(is_number(words[1])
                                 ? quote(words[1]) + " is no option; did you mean '--vm " + words[1] + "'?"
                                 : "one command at a time, not " + quote(words[1]) + " too");
    const bool nothing_asked =
        std::ranges::all_of(values, [](const auto& given) { return given.first == "root"; });
    if (words.empty() && nothing_asked) return without_words;
    return command_named(words.empty() ? "install" : words.front());
}

void check_options(const Command& command, const options::variables_map& values)
{
    for (const auto& option : option_table)
        if (values.count(std::string(option.name)) != 0 && !option.is_of(command))
            throw options::error("'" + std::string(command.name) + "' takes no '--" +
                                 std::string(option.name) + "'");
    const bool guests = values.count("vm") != 0 || values.count("ct") != 0 || values.count("incus") != 0;
    if (!command.which_guest.empty() && !guests && values.count("host") == 0)
        throw options::error(std::string(command.which_guest));
    for (const auto* report : {"html", "report"})
        if (values.count("cluster") != 0 && values.count(report) != 0)
            throw options::error("'--cluster' makes no report; leave '--" + std::string(report) + "' out");
    if (command.name == "install" && values.count("guest-reboot") != 0 && values.count("vm") == 0)
        throw options::error("'--guest-reboot' is for VMs, and no '--vm' names one");
    if (command.name == "install" && values.count("mig") != 0 && values.count("ct") == 0)
        throw options::error("'--mig' is for containers, and no '--ct' names one");
    if (command.name == "install" && values.count("gpu") != 0 && values.count("ct") == 0)
        throw options::error(
            "'--gpu' is for containers, and no '--ct' names one; a VM has the GPU of its hostpci lines");
}

std::string usage_of(const Command& command)
{
    std::string text = "usage: pve-gpu-install " + std::string(command.name);
    if (!command.arguments.empty()) text += " " + std::string(command.arguments);
    text += " [OPTIONS]\n\n" + std::string(command.help) + "\n\n";
    for (const auto& option : option_table)
        if (option.is_of(command)) text += row(spelled(option), option.help);
    return text;
}

constexpr std::string_view exit_statuses =
    "\nExit status: 0 done or all well, 1 failed, 2 wrong usage, 3 done, but a reboot is needed.\n";

} // namespace

Arguments parse_arguments(int argc, const char* const* argv)
{
    const auto values = parse(argc, argv);
    auto words = strings(values, "words");
    Arguments arguments;
    arguments.version = values.count("version") != 0;
    arguments.options.json = values.count("json") != 0;
    if (arguments.version) return arguments;
    const bool asked_by_word = !words.empty() && words.front() == "help";
    if (asked_by_word) words.erase(words.begin());
    if (asked_by_word || values.count("help") != 0) {
        arguments.help = words.empty() ? help_text() : help_text(command_named(words.front()));
        return arguments;
    }
    arguments.command = &command_of(values, words);
    check_options(*arguments.command, values);
    arguments.root = root_of(values);
    arguments.options = options_of(values);
    return arguments;
}

std::string help_text(const Command& command)
{
    return usage_of(command) + std::string(exit_statuses);
}

std::string help_text()
{
    std::string text = "usage: pve-gpu-install [COMMAND] [OPTIONS]\n\nWith '--vm' and no command it is "
                       "'install'; without either "
                       "it lists the guests that have a GPU.\n\n";
    for (const auto& command : commands)
        text += row(std::string(command.name) + " " + std::string(command.arguments), command.help);
    text += "\n";
    for (const auto& option : option_table) {
        const auto command = trim(option.of);
        const bool of_one =
            !command.empty() && command != "install" && command.find(' ') == std::string_view::npos;
        text += row(spelled(option), (of_one ? std::string(command) + ": " : "") + std::string(option.help));
    }
    return text + std::string(exit_statuses);
}

} // namespace pvegpu
