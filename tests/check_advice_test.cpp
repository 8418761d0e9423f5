// Whom advice is for, and whether it can be pasted: every command that any finding of any machine of the
// tests advises is read as its program reads it, and what 'qm set' makes of the guest is read again.
#include "catch.hpp"
#include "check/facts.hpp"
#include "check/findings.hpp"
#include "check/guest_args.hpp"
#include "check_cases.hpp"
#include "commands/arguments.hpp"
#include "commands/guest_verification.hpp"
#include "ct_hosts.hpp"
#include "host_folder.hpp"
#include "machine/dry_run_system.hpp"
#include "pve_arguments.hpp"

#include <algorithm>
#include <set>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

using Words = std::vector<std::string>;

// At ';' and '&&' outside of quotes.
Words commands_in(const std::string& text)
{
    Words commands{""};
    char quoted = '\0';
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted != '\0')
            quoted = text[i] == quoted ? '\0' : quoted;
        else if (text[i] == '\'' || text[i] == '"')
            quoted = text[i];
        if (quoted == '\0' && (text[i] == ';' || text.compare(i, 2, "&&") == 0)) {
            if (text[i] == '&') ++i;
            commands.emplace_back();
        } else {
            commands.back() += text[i];
        }
    }
    return commands;
}

// The command, and what words have of one between quotes.
Words advised_commands(const Remedy& remedy)
{
    auto all = commands_in(remedy.command);
    for (const std::string_view start : {"'pve-gpu-install ", "'qm ", "'pct "})
        for (auto at = remedy.words.find(start); at != std::string::npos;
             at = remedy.words.find(start, at + 1))
            for (const auto& one :
                 commands_in(remedy.words.substr(at + 1, remedy.words.find('\'', at + 1) - at - 1)))
                all.push_back(one);
    return all;
}

// "$(cat ...)" is what a shell makes of it.
std::string as_run(std::string command)
{
    if (const auto at = command.find("$("); at != std::string::npos)
        command.replace(at, command.find(')', at) + 1 - at, "0-7");
    return command;
}

Words behind(const Words& words, std::size_t number)
{
    return {words.begin() + static_cast<std::ptrdiff_t>(number), words.end()};
}

std::vector<unsigned> guests_of_installer(const Words& words)
{
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    const auto options = parse_arguments(static_cast<int>(argv.size()), argv.data()).options;
    auto guests = options.vms;
    guests.insert(guests.end(), options.containers.begin(), options.containers.end());
    return guests;
}

// The guest's file as 'qm set' leaves it.
std::string after_setting(const std::string& text, const PveArguments& set)
{
    auto gone = set.options;
    if (const auto deleted = set.options.find("delete"); deleted != set.options.end())
        for (const auto key : split(deleted->second, ',')) gone.emplace(key, "");
    std::string result;
    bool live = true;
    for (LineReader lines(text); lines.next();) {
        live = live && !lines.line().starts_with('[');
        const auto key = std::string(lines.line().substr(0, lines.line().find(':')));
        if (!live || !gone.contains(key)) result += std::string(lines.line()) + "\n";
    }
    std::string added;
    for (const auto& [key, value] : set.options)
        if (key != "delete") added += key + ": " + value + "\n";
    return added + result;
}

// Properties with a key, but for the device.
std::set<std::string> properties_of(const std::string& line)
{
    std::set<std::string> found;
    for (const auto part : split(line, ','))
        if (part.find('=') != std::string_view::npos && !part.starts_with("host=") &&
            !part.starts_with("mapping=") && !part.starts_with("type=") && !part.starts_with("cputype="))
            found.emplace(part.substr(0, part.find('=')));
    return found;
}

// Of a setting that was there, one property is what the finding is about; every other one is kept.
void check_kept(const std::string& before, const std::string& after)
{
    const auto now = properties_of(after);
    unsigned lost = 0;
    for (const auto& property : properties_of(before)) lost += now.contains(property) ? 0 : 1;
    INFO(before << " -> " << after);
    CHECK(lost <= 1);
}

std::string setting_of(const GuestConfig& config, const std::string& key)
{
    for (const auto& line : config.hostpci)
        if (line.key() == key) return line.text;
    return config.setting(key);
}

void check_qm_set(FakeSystem& machine, const Words& words, const std::optional<unsigned>& asked)
{
    const auto set = read_as_proxmox(behind(words, 2), qm_set);
    REQUIRE(set);
    if (asked) CHECK(set->vmid == std::to_string(*asked));
    const auto path = "/etc/pve/qemu-server/" + set->vmid + ".conf";
    const auto text = machine.text(path);
    const auto before = parse_guest_config(text), after = parse_guest_config(after_setting(text, *set));
    CHECK(after.warnings.size() <= before.warnings.size());
    for (const auto& line : after.hostpci) CHECK_FALSE(line.start_error);
    for (const auto& [key, value] : set->options) {
        if (key == "delete") continue;
        CHECK_FALSE(setting_of(after, key).empty());
        if (key != "args") check_kept(setting_of(before, key), value);
    }
    machine.file(path, after_setting(text, *set));
}

void check_pct_set(const Words& words, const std::optional<unsigned>& asked)
{
    const auto set = read_as_proxmox(behind(words, 2), pct_set);
    REQUIRE(set);
    if (asked) CHECK(set->vmid == std::to_string(*asked));
}

// True where the guest's own configuration was changed.
bool check_command(FakeSystem& machine, const std::string& command, const std::optional<unsigned>& asked)
{
    const auto words = shell_words(as_run(command));
    INFO(command);
    if (words.size() < 2) return false;
    if (words[0] == "pve-gpu-install") {
        for (const auto vmid : guests_of_installer(words))
            if (asked) CHECK(vmid == *asked);
    } else if (words[0] == "qm" && words[1] == "set") {
        check_qm_set(machine, words, asked);
        return true;
    } else if (words[0] == "pct" && words[1] == "set") {
        check_pct_set(words, asked);
    } else if ((words[0] == "qm" || words[0] == "pct") && asked) {
        CHECK(std::count(words.begin(), words.end(), std::to_string(*asked)) == 1);
    }
    return false;
}

Findings findings_for(const SysReader& machine, const std::optional<unsigned>& asked)
{
    auto facts = read_check_facts(machine);
    if (asked) facts.asked = {*asked};
    return run_checks(facts);
}

// A machine is made anew for each finding: what is advised is done on it, and looked at again.
void check_advice(const std::function<void(FakeSystem&)>& build, const std::string& kernel,
                  const std::optional<unsigned>& asked)
{
    FakeSystem machine(kernel);
    build(machine);
    for (const auto& finding : findings_for(machine, asked)) {
        INFO(finding.name << " of " << finding.subject << ": " << finding.evidence);
        const auto commands = advised_commands(finding.remedy);
        if (commands == Words{""}) continue;
        FakeSystem changed(kernel);
        build(changed);
        bool all = !finding.remedy.command.empty();
        for (const auto& command : commands) all = check_command(changed, command, asked) && all;
        if (!all || finding.remedy.words.find("first take it out") != std::string::npos ||
            finding.remedy.words.find("no 'hostpci' line left") != std::string::npos)
            continue;
        for (const auto& again : findings_for(changed, asked)) // what was advised mends what was found
            CHECK_FALSE((again.name == finding.name && again.subject == finding.subject &&
                         again.evidence == finding.evidence));
    }
}

std::vector<unsigned> guests_in(const FakeSystem& machine)
{
    std::vector<unsigned> vmids;
    for (const auto& guest : survey_host(machine, {}).guests) vmids.push_back(guest.id.vmid);
    return vmids;
}

void check_all_advice(const std::function<void(FakeSystem&)>& build, const std::string& kernel)
{
    FakeSystem machine(kernel);
    build(machine);
    try {
        check_advice(build, kernel, std::nullopt);
        for (const auto vmid : guests_in(machine)) check_advice(build, kernel, vmid);
    } catch (const Error&) { // it is no Proxmox host, or its files do not answer
    }
}

bool says_of(const Findings& findings, const std::string& text)
{
    return std::any_of(findings.begin(), findings.end(), [&](const Finding& one) {
        return (one.remedy.command + one.remedy.words).find(text) != std::string::npos;
    });
}

const Finding* named(const Findings& findings, std::string_view name)
{
    const auto found =
        std::find_if(findings.begin(), findings.end(), [&](const Finding& one) { return one.name == name; });
    return found == findings.end() ? nullptr : &*found;
}

std::size_t number_of(const Findings& findings, std::string_view start)
{
    return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [&](const Finding& one) {
        return one.name.starts_with(start) && one.verdict > Verdict::ok;
    }));
}

void use_without_hook(FakeSystem& machine)
{
    add_healthy_host(machine);
    replace_guest(machine, guest_without("hookscript"));
    machine.file("/etc/initramfs-tools/modules", "");
    machine.file("/proc/cmdline", "root=/dev/sda1 quiet\n");
    machine.file("/etc/modprobe.d/pve-gpu-hook.conf", "");
}

} // namespace

TEST_CASE("every command that a check case advises can be pasted, keeps what was there, and mends it",
          "[check][advice]")
{
    unsigned number = 0;
    for (const auto& family : {host_cases(), card_cases(), guest_cases(), container_cases(), log_cases()})
        for (const auto& one : family) {
            DYNAMIC_SECTION(++number << " " << one.check << ": " << one.says)
            {
                check_all_advice(
                    [&](FakeSystem& machine) {
                        add_healthy_host(machine);
                        one.fires(machine);
                    },
                    one.kernel);
            }
        }
}

TEST_CASE("every command that a host's findings advise can be pasted, keeps what was there, and mends it",
          "[check][advice]")
{
    for (const auto& name : host_names()) {
        DYNAMIC_SECTION(name)
        {
            const auto files = read_host_folder(hosts_directory + name);
            check_all_advice([&](FakeSystem& host) { load_host(host, files); }, "6.12.117-1-pve");
        }
    }
}

TEST_CASE("advice for one guest never orders something for another that names the same card",
          "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    use_without_hook(machine);
    add_vm(machine, 102, guest_without("hookscript"));
    for (const unsigned asked : {101U, 102U}) {
        const auto findings = findings_for(machine, asked);
        const auto own = "--vm " + std::to_string(asked), other = "--vm " + std::to_string(203 - asked);
        CHECK(says_of(findings, "pve-gpu-install " + own));
        CHECK(says_of(findings, "pve-gpu-install --host " + own));
        CHECK_FALSE(says_of(findings, other));
    }
}

TEST_CASE("the host is prepared for the guest that was asked about, whoever has the first card",
          "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    use_without_hook(machine);
    add_vm(machine, 102, "hostpci0: 00:02.0\n"); // the processor's own GPU comes first
    add_vm(machine, 103, "name: none\n");
    CHECK(says_of(findings_for(machine, 101), "pve-gpu-install --host --vm 101"));
    CHECK_FALSE(says_of(findings_for(machine, 101), "102"));
    CHECK(says_of(findings_for(machine, 102), "pve-gpu-install --host --vm 102"));
    CHECK(says_of(findings_for(machine, std::nullopt), "pve-gpu-install --host --vm 101"));
    CHECK_FALSE(says_of(findings_for(machine, 103), "--vm 10")); // it has no GPU
    CHECK(says_of(findings_for(machine, 103), "pve-gpu-install --host"));
}

TEST_CASE("of guests that share a card the one without the hook is advised; the other has it",
          "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_vm(machine, 102, guest_without("hookscript"));
    CHECK(named(findings_for(machine, 101), "card.reset")->verdict == Verdict::ok);
    CHECK(named(findings_for(machine, 102), "card.reset")->remedy.command == "pve-gpu-install --vm 102");
    CHECK(named(findings_for(machine, std::nullopt), "card.reset")->remedy.command ==
          "pve-gpu-install --vm 102");
}

TEST_CASE("a template is no guest that shares the card, nor one to be given advice", "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_vm(machine, 99, healthy_guest + "template: 1\nonboot: 1\n"); // in front of VM 101
    for (const auto& finding : run_checks(read_check_facts(machine))) {
        INFO(finding.name << ": " << finding.evidence);
        CHECK(finding.verdict == Verdict::ok);
    }
    replace_guest(machine, guest_without("hookscript"));
    const auto facts = read_check_facts(machine);
    CHECK(install_for(facts, {99, 101}) == "pve-gpu-install --vm 101");
    CHECK(facts.gpus.at(1).vmids == std::vector<unsigned>{101});
}

TEST_CASE("where a template alone has the card the host is prepared for its clones, and no hook is missed",
          "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    replace_guest(machine, guest_without("hookscript", "template: 1\nhookscript: local:snippets/gone.sh\n"));
    machine.file(paths::report(101, "pre-start"), R"({"phase":"pre-start","outcome":"failed","error":"x"})");
    const auto facts = read_check_facts(machine);
    for (const auto& finding : run_checks(facts)) {
        INFO(finding.name << ": " << finding.evidence);
        CHECK(finding.verdict == Verdict::ok);
    }
    const auto& gpu = facts.gpus.at(1);
    CHECK(gpu.vmids == std::vector<unsigned>{101});
    CHECK(install_for(facts, gpu.vmids) == "pve-gpu-install --host --vm 101");
    machine.dies("0000:03:00.0");
    const auto dead = run_checks(read_check_facts(machine));
    REQUIRE(dead.front().verdict == Verdict::error);
    CHECK(dead.front().name == "card.alive");
    CHECK(dead.front().remedy.command.empty()); // no trial: nothing starts
}

TEST_CASE("a guest that has the other half of a card is told to give it back", "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_slot(machine, {.driver = "vfio-pci", .group = 60});
    replace_guest(machine, healthy_guest + "hostpci2: 06:00.0,pcie=1\n");
    add_vm(machine, 102, "hostpci0: 06:00.1,pcie=1\nmachine: q35\n");
    CHECK(named(findings_for(machine, 102), "card.companions")->remedy.command ==
          "qm set 102 --delete hostpci0");
}

TEST_CASE("what the kernel says of one trouble of a card is one finding, whichever function it names",
          "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    for (const auto* line :
         {"vfio-pci 0000:03:00.0: not ready 65535ms after bus reset; giving up",
          "vfio-pci 0000:04:00.0: not ready 65535ms after bus reset; giving up",
          "pcieport 0000:00:1c.0: AER: Uncorrectable (Fatal) error message received from 0000:03:00.0",
          "vfio-pci 0000:03:00.0: Unable to change power state from D3cold to D0, device inaccessible",
          "vfio-pci 0000:03:00.0: vfio: Unable to power on device, stuck in D3",
          "pci 0000:03:00.0: unknown header type 7f, ignoring device"})
        add_to_kernel_log(machine, line);
    machine.dies("0000:03:00.0");
    const auto findings = findings_for(machine, 101);
    CHECK(number_of(findings, "log.") == 1);
    const auto* one = named(findings, "log.reset-timeout");
    REQUIRE(one != nullptr);
    CHECK(one->verdict == Verdict::error);
    CHECK(one->evidence.find("2 times") != std::string::npos);
    CHECK(one->evidence.find("AER: Uncorrectable") != std::string::npos);
    CHECK(one->evidence.find("stuck in D3") != std::string::npos);
}

TEST_CASE("two cards without a domain, or without a function, are two findings", "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    add_slot(machine, {.driver = "vfio-pci"});
    for (const auto* line : {"DMAR: [DMA Read] Request device [03:00.0] fault addr 0",
                             "DMAR: [DMA Read] Request device [06:00.1] fault addr 0",
                             "NVRM: Xid (PCI:0000:06:00): 79, GPU has fallen off the bus.",
                             "NVRM: GPU 0000:06:00.0: GPU has fallen off the bus."})
        add_to_kernel_log(machine, line);
    const auto findings = findings_for(machine, std::nullopt);
    CHECK(number_of(findings, "log.dma-fault") == 2);
    CHECK(number_of(findings, "log.fallen-off") == 1);
    CHECK(named(findings, "log.fallen-off")->subject == "0000:06:00.0");
    const auto address = [](const char* text) {
        const auto found = address_in(text);
        return found ? to_string(*found) : "";
    };
    CHECK(address("NVRM: GPU at PCI:0000:01:00: GPU-7f") == "0000:01:00.0");
    CHECK(address("GPU 00000000:01:00.0: Detected Critical Xid Error") == "0000:01:00.0");
    CHECK(address("kvm: -device vfio-pci,host=0A:00.1,id=x: busy") == "0000:0a:00.1");
    CHECK(address("at 12:10:05.1 and 23:00.10") == "");
}

TEST_CASE("within a verdict what the kernel said of the guest's card comes first", "[check][advice]")
{
    FakeSystem machine("6.14.8-2-pve");
    add_healthy_host(machine);
    machine.file("/proc/cmdline", "root=/dev/sda1 quiet\n");
    add_to_kernel_log(machine, "vfio-pci 0000:03:00.0: not ready 65535ms after FLR; giving up");
    const auto findings = findings_for(machine, 101);
    CHECK(findings.front().name == "log.reset-timeout");
    CHECK(findings.front().verdict == Verdict::note);
    CHECK(named(findings, "command-line.missing")->why.find("no guest needs it") != std::string::npos);
    CHECK(named(findings, "command-line.missing")->remedy.words.find("nothing waits") != std::string::npos);
}

TEST_CASE("what was only listed is no result of a verification", "[verify]")
{
    FakeSystem machine;
    add_host(machine);
    add_nvidia_host(machine, {.loaded = true});
    add_container(machine, 901, "dev0: /dev/nvidia0\n");
    start_container(machine, 901, 5001);
    DryRunSystem dry(machine);
    const auto guest = verify_container(dry, 901);
    CHECK(named(guest.checks, "nvidia-smi")->verdict == Verdict::unknown);
    CHECK(named(guest.checks, "nvidia-smi")->evidence == "'nvidia-smi' was not run");
    CHECK(named(guest.checks, "load")->verdict == Verdict::unknown);
    SysResult listed;
    listed.only_listed = true;
    CHECK(parse_agent_answer(listed).kind == GuestAnswer::Kind::not_run);
    CHECK(parse_attach_answer(listed).kind == GuestAnswer::Kind::not_run);
}
