#include "commands/arguments.hpp"

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

// Those that a command can be given besides: --json, --root, --dry-run and --yes are for all.
constexpr std::array commands{
    Command{"install", install, "--vm N [--ct N ...]", "prepare the host and attach the hook to these guests",
            " vm ct host blacklist reboot gpu mig replace-hard-coded guest-reboot ",
            "which VM? 'pve-gpu-install --vm 101' attaches the hook to VM 101"},
    Command{"status", status, "", "cards, guests, the hook's last runs", "", ""},
    Command{"try", try_recovery, "--vm N", "recover the VM's GPU twice, with the VM stopped", " vm ",
            "which VM? 'pve-gpu-install try --vm 101' tries the recovery of its GPU"},
    Command{"detach", detach, "--vm N [--ct N ...]", "give these guests back what they had", " vm ct ",
            "which VM? 'pve-gpu-install detach --vm 101' detaches the hook from VM 101"},
    Command{"uninstall", uninstall, "", "undo everything that 'install' has done on this host", "", ""},
    Command{"capture", capture, "[--guest N]", "print this host as a test fixture, without secrets",
            " guest output ", ""},
    Command{"check", check, "[--vm N ...] [--ct N ...]", "what is wrong with this host, and how to mend it",
            " vm ct html full explain explain-file list ", ""},
    Command{"verify", verify, "--vm N | --ct N", "what works of the GPU inside a guest that runs", " vm ct ",
            "which guest? 'pve-gpu-install verify --ct 901' looks into container 901"},
};

// What the package's maintainer scripts call; no word of them in the help.
constexpr std::array package_commands{
    Command{"package-configured", package_configured, "", "", "", ""},
    Command{"package-remove", package_remove, "", "", "", ""},
    Command{"package-purge", package_purge, "", "", "", ""},
};

// Options that mean something to some commands only: to the others they would be a wish that is not granted.
constexpr std::array some_commands{
    "vm",   "ct",      "host",         "blacklist", "reboot", "gpu",   "mig",    "replace-hard-coded",
    "html", "explain", "explain-file", "full",      "list",   "guest", "output", "guest-reboot"};

struct OptionHelp {
    std::string_view option, help;
};

constexpr std::array option_helps{
    OptionHelp{"--vm N", "the VM, 100 to 999999999; may be repeated"},
    OptionHelp{"--ct N", "a container; may be repeated"},
    OptionHelp{"--gpu LIST", "the containers' GPUs: 0,1 as in /dev/nvidiaN, or 0000:01:00.0"},
    OptionHelp{"--mig LIST",
               "the containers' MIG instances: 1/0 (GPU instance/compute instance), or 1 for all of it"},
    OptionHelp{"--replace-hard-coded", "containers: devN in place of lxc.mount.entry and device numbers"},
    OptionHelp{"--guest-reboot WHAT",
               "when a VM's guest reboots by itself: 'clean', its card is recovered, or 'leave'; without it "
               "clean where the card cannot reset itself"},
    OptionHelp{"--host", "prepare the host only, attach nothing"},
    OptionHelp{"--blacklist", "also blacklist the native drivers of the VMs' GPUs"},
    OptionHelp{"--dry-run", "show what would be changed, and stop"},
    OptionHelp{"--yes", "do not ask; hard-coded lines stay without '--replace-hard-coded'"},
    OptionHelp{"--reboot", "reboot if it is needed"},
    OptionHelp{"--html FILE",
               "check: also write a report to attach to a forum post; with '--root' below DIR"},
    OptionHelp{"--full", "check: with the names of host and guests in the report"},
    OptionHelp{"--explain TEXT",
               "check: what a message of the kernel, QEMU or Proxmox means; '-' reads standard input"},
    OptionHelp{"--explain-file FILE", "check: the same for a whole log; neither looks at the host"},
    OptionHelp{"--list", "check: print what it looks at"},
    OptionHelp{"--guest N", "capture: write a directory with all that concerns this VM or container"},
    OptionHelp{"--output DIR", "capture: that directory; without it 'capture-N' where you are"},
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

options::variables_map parse(int argc, const char* const* argv)
{
    options::options_description known;
    auto add = known.add_options();
    for (const auto* flag : {"help", "version", "host", "blacklist", "dry-run", "yes", "reboot", "json",
                             "full", "list", "replace-hard-coded"})
        add(flag, "");
    for (const auto* text : {"html", "explain", "explain-file", "guest", "output", "root", "guest-reboot"})
        add(text, options::value<std::string>());
    for (const auto* list : {"vm", "ct", "gpu", "mig"}) add(list, options::value<std::vector<std::string>>());
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
        if (const auto number = vmid_of(text); !contains(numbers, number)) numbers.push_back(number);
    return numbers;
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
    return {vmids(values, "vm"),
            vmids(values, "ct"),
            has("host"),
            has("blacklist"),
            has("dry-run"),
            has("yes"),
            has("reboot"),
            has("json"),
            absolute(text_of(values, "html"), values),
            text_of(values, "explain"),
            has("full"),
            has("list"),
            strings(values, "gpu"),
            has("replace-hard-coded"),
            captured_guest(values),
            capture_directory(values),
            strings(values, "mig"),
            absolute(text_of(values, "explain-file"), values),
            guest_reboot_of(values)};
}

const Command& command_of(const options::variables_map& values)
{
    const auto words = strings(values, "words");
    if (words.size() > 1) throw options::error("one command at a time, not " + quote(words[1]) + " too");
    const std::string name = words.empty() ? "install" : words.front();
    for (const auto& command : commands)
        if (command.name == name) return command;
    for (const auto& command : package_commands)
        if (command.name == name) return command;
    throw options::error("not a command: " + quote(name));
}

void check_options(const Command& command, const options::variables_map& values)
{
    for (const auto* const option : some_commands)
        if (values.count(option) != 0 &&
            command.options.find(" " + std::string(option) + " ") == std::string_view::npos)
            throw options::error("'" + std::string(command.name) + "' takes no '--" + option + "'");
    const bool guests = values.count("vm") != 0 || values.count("ct") != 0;
    if (!command.which_guest.empty() && !guests && values.count("host") == 0)
        throw options::error(std::string(command.which_guest));
    if (command.name == "install" && values.count("guest-reboot") != 0 && values.count("vm") == 0)
        throw options::error("'--guest-reboot' is for VMs, and no '--vm' names one");
    if (command.name == "install" && values.count("mig") != 0 && values.count("ct") == 0)
        throw options::error("'--mig' is for containers, and no '--ct' names one");
    if (command.name == "install" && values.count("gpu") != 0 && values.count("ct") == 0)
        throw options::error(
            "'--gpu' is for containers, and no '--ct' names one; a VM has the GPU of its hostpci lines");
}

} // namespace

Arguments parse_arguments(int argc, const char* const* argv)
{
    const auto values = parse(argc, argv);
    Arguments arguments;
    arguments.version = values.count("version") != 0;
    if (arguments.version || values.count("help") != 0) return arguments;
    if (strings(values, "words") == std::vector<std::string>{"help"}) return arguments;
    arguments.command = &command_of(values);
    check_options(*arguments.command, values);
    arguments.root = root_of(values);
    arguments.options = options_of(values);
    return arguments;
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

} // namespace pvegpu
