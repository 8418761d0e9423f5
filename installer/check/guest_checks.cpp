// What a guest's configuration does with the card: lines, mappings, other guests, other nodes, the
// hookscript.
#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/findings.hpp"
#include "proxmox/named_devices.hpp"
#include "proxmox/passthrough.hpp"
#include "usage/instances.hpp"

namespace pvegpu {
namespace {

Findings guest_config(const SurveyedGuest& guest)
{
    const auto conf = guest.config_path();
    Findings findings;
    for (const auto& warning : guest.config.warnings) {
        Finding finding{Verdict::error, to_string(warning.in(conf)), {"correct the line in " + conf}};
        if (!warning.loses_device) {
            finding.verdict = Verdict::note;
            finding.why = "the VM starts with its devices, but not as the line says";
        }
        findings.push_back(std::move(finding));
    }
    if (const auto& problem = guest.problem)
        findings.push_back({Verdict::error,
                            conf + ": " + problem->fact,
                            {problem->remedy.empty() ? "correct " + conf : problem->remedy},
                            "Proxmox refuses to start the VM"});
    return or_ok(findings, conf + " has no line that Proxmox drops");
}

Finding absent(const NamedByVm& named, const SurveyedGuest& guest, const PassedDevice& device,
               const HostSelector& selector)
{
    const auto evidence = guest.config_path() + ": " + device.key + " names " + quote(selector.text) +
                          ", and " + std::string(paths::pci_functions) + " has nothing that begins so";
    if (const auto known = with_cause(evidence, named.absent, selector))
        return {Verdict::error, known->fact, {known->remedy}};
    return {Verdict::error, evidence,
            by_command("lspci -D", "if it has another address now, write that one into " + device.key +
                                       "; what is off in the firmware, or has no power, is not listed")};
}

Findings guest_device_present(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const std::string functions(paths::pci_functions);
    const auto& named = named_by(facts, guest);
    Findings findings;
    for (const auto& device : named.devices)
        for (const auto& selector : device.taken().missing) // what one alternative lacks all lack
            findings.push_back(absent(named, guest, device, selector));
    if (named.devices.empty()) return {};
    return or_ok(findings, functions + " has every device that " + guest.config_path() + " names");
}

Findings guest_mapping(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto& named = named_by(facts, guest);
    Findings findings;
    for (const auto& device : named.devices) {
        if (!device.mapping) continue;
        const auto evidence = guest.config_path() + ": " + device.key + ", mapping " +
                              quote(*device.mapping) + " (" + std::string(paths::pve_pci_mappings);
        const auto* wrong = find_by(named.mismatches, device.key, &MappingMismatch::key);
        if (wrong == nullptr)
            findings.push_back({Verdict::ok, evidence + "), matches"});
        else
            findings.push_back({Verdict::error,
                                evidence + ":" + std::to_string(wrong->line) + "): " + wrong->reason,
                                {"Datacenter > Resource Mappings > " + *device.mapping +
                                 ": choose the device anew on this node"}});
    }
    return findings;
}

// What other checks tell with more words is left to them.
Findings guest_start(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto start = facts.next_starts.find(guest.id.vmid);
    if (start == facts.next_starts.end()) return {}; // it runs
    const auto& refused = start->second;
    if (!refused)
        return {
            {Verdict::ok, "'pve-gpu-hook --dry-run " + guest.id.number() + " pre-start' refuses nothing"}};
    const auto has_error = [](const Findings& findings) {
        return std::ranges::any_of(findings, [](const auto& one) { return one.verdict == Verdict::error; });
    };
    if (guest.problem || has_error(guest_device_present(facts, guest)) ||
        has_error(guest_mapping(facts, guest)))
        return {};
    return {{Verdict::error, refused->advice.fact, {refused->advice.remedy}}};
}

Findings guest_mdev(const CheckFacts& facts, const SurveyedGuest& guest)
{
    Findings findings;
    for (const auto& device : devices_of(facts, guest)) {
        if (!device.mdev) continue;
        const auto& functions = device.taken().functions;
        Finding finding{Verdict::ok, guest.config_path() + ": " + device.key + " has 'mdev' and " +
                                         counted(functions.size(), "function")};
        if (functions.size() > 1) {
            finding.verdict = Verdict::error;
            const auto& line = *find_where(guest.config.hostpci,
                                           [&](const HostPci& one) { return one.key() == device.key; });
            finding.remedy = line.mapping
                                 ? Remedy{"Datacenter > Resource Mappings > " + *line.mapping +
                                          ": choose one function, " + quote(functions.front())}
                                 : by_command(set_hosts(guest.id.vmid, line, {to_string(functions.front())}),
                                              "name one function");
        }
        findings.push_back(std::move(finding));
    }
    return findings;
}

bool starts_at_boot(const CheckFacts& facts, unsigned vmid)
{
    const auto* guest = facts.survey.find(vmid);
    return guest != nullptr && (guest->config.setting("onboot") == "1" || guest->ha);
}

// Of those that start with the host: one that the check is for, and the last of them.
unsigned not_at_boot(const CheckFacts& facts, std::vector<unsigned> vmids)
{
    std::erase_if(vmids, [&](unsigned vmid) { return !starts_at_boot(facts, vmid); });
    return facts.meant(vmids).back();
}

Finding guest_shared_card(const CheckFacts& facts, const GpuFacts& gpu)
{
    if (is_of_templates(facts, gpu))
        return {Verdict::ok, "no VM that can start has it in its 'hostpci' lines"};
    const bool of_proxmox = std::ranges::none_of(gpu.vmids, is_instance);
    const std::string lines = of_proxmox ? "'hostpci' lines" : "devices";
    if (gpu.vmids.size() == 1)
        return {Verdict::ok, "the " + lines + " of " + vms_in_words(facts, gpu.vmids) + " alone name it"};
    const auto evidence =
        lines + " of " + vms_in_words(facts, gpu.vmids, ", ") + " name " + quote(to_string(gpu.address));
    if (of_proxmox &&
        std::ranges::count_if(gpu.vmids, [&](unsigned vmid) { return starts_at_boot(facts, vmid); }) > 1)
        return {Verdict::warning, evidence + ", and more than one of them starts with the host",
                by_command("qm set " + std::to_string(not_at_boot(facts, gpu.vmids)) + " --onboot 0")};
    return {Verdict::note,
            evidence + ": one of them can run at a time",
            {"stop one before the other starts; a backup in 'stop' mode starts a guest too"}};
}

Finding guest_migration(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto conf = guest.config_path();
    const Remedy map{"Datacenter > Resource Mappings > Add; then choose the mapping in the VM's hardware"};
    if (std::ranges::all_of(guest.config.hostpci, [](const HostPci& line) { return line.hosts.empty(); }))
        return {Verdict::ok, conf + " names resource mappings only"};
    if (guest.ha)
        return {Verdict::warning,
                std::string(paths::pve_ha_resources) + " has it, and a 'hostpci' line in " + conf +
                    " names an address",
                by_command("ha-manager remove vm:" + std::to_string(guest.id.vmid),
                           "takes it out of high availability; or: " + map.words)};
    if (facts.host.cluster.clustered)
        return {Verdict::note, "a 'hostpci' line in " + conf + " names an address of this node", map};
    return {Verdict::ok, std::string(paths::pve_members) + " has no other node that it could go to"};
}

Finding hookscript_here(const SurveyedGuest& guest, const HookscriptFacts& hook)
{
    constexpr mode_t executable = 0111;
    const auto& volume = guest.config.hookscript;
    const auto install = guest.other_node.empty() ? guest.id.install_command() : "pve-gpu-install --host";
    const auto again = guest.attached
                           ? by_command(install, "or: " + guest.id.set_command("--delete hookscript"), true)
                           : set(guest, "--delete hookscript", "or put the file back");
    if (!hook.path)
        return {Verdict::error,
                "the storage of the hookscript " + quote(volume) + " is not in " +
                    std::string(paths::pve_storages),
                again};
    const auto file = quote(*hook.path);
    if (hook.unseen)
        return {Verdict::unknown, file + " cannot be read: its storage does not answer",
                by_command("pvesm status", "repair the storage, or choose another one for the hookscript"),
                "Proxmox does not start a guest whose hookscript it cannot find"};
    if (!hook.file) return {Verdict::error, file + " is absent", again};
    if (!hook.file->regular || (hook.file->mode & executable) == 0)
        return {Verdict::error, file + " is not executable", by_command("chmod 755 " + *hook.path)};
    return {Verdict::ok, file + " is there and executable"};
}

// A line that writes to 'remove' or 'rescan' of the PCI bus; empty if there is none. Comments of shell, Perl
// and Python begin alike.
std::string bus_change_in(const std::string& script)
{
    if (script.find("pci") == std::string::npos) return "";
    for (LineReader lines(script); lines.next();) {
        const auto line = trim(lines.line());
        if (line.starts_with('#')) continue;
        for (const std::string_view file : {"/remove", "/rescan"})
            if (const auto at = line.find(file); at != std::string_view::npos) {
                const auto behind = line.substr(at + file.size());
                if (behind.empty() ||
                    !(is_alnum(behind.front()) ||
                      std::string_view("/-_.").find(behind.front()) != std::string_view::npos))
                    return std::string(line);
            }
    }
    return "";
}

// Two who rescan: the kernel lets a rescan in beside a reset, and takes what it does not see for gone.
Findings other_hookscript(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto found = facts.other_hooks.find(guest.id.vmid);
    if (found == facts.other_hooks.end() || guest.passed.empty()) return {};
    const auto& [path, text, chained] = found->second;
    const auto line = bus_change_in(text);
    if (line.empty()) return {};
    const auto evidence =
        quote(path) + (chained ? ", which the hook runs first, " : " ") +
        "takes devices off the PCI bus or looks for them itself: " + quote(printable(line, 120));
    const auto* const why = "a rescan beside a reset loses the card, and with it others on the same port";
    if (chained)
        return {
            {Verdict::warning, evidence,
             by_command("rm " + paths::chained_hook(guest.id.vmid),
                        "if it does nothing else: the hook does that itself, and goes without it then; else "
                        "take such lines out of it"),
             why}};
    return {
        {Verdict::warning, evidence,
         by_command(guest.id.set_command("--delete hookscript") + "; " + guest.id.install_command(),
                    "if it does nothing else: the hook does that itself, with a reset; else take such lines "
                    "out of it, and " +
                        quote(guest.id.install_command()) + " runs it first"),
         why}};
}

Findings guest_hookscript(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto found = facts.hookscripts.find(guest.id.vmid);
    if (found == facts.hookscripts.end()) return {};
    const auto& hook = found->second;
    Findings findings{hookscript_here(guest, hook)};
    append(findings, other_hookscript(facts, guest));
    const auto* storage = storage_of(facts.survey.storages, guest.config.hookscript);
    if (facts.host.cluster.clustered && hook.path && !(storage != nullptr && storage->shared))
        findings.push_back(
            {Verdict::unknown,
             "whether the other nodes have " + quote(guest.config.hookscript) + " cannot be seen from here",
             by_command("ls -lL " + *hook.path, "on every node that it can go to; where it is missing: "
                                                "'pve-gpu-install --host'")});
    return findings;
}

Findings guest_last_run(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto found = facts.last_runs.find(guest.id.vmid);
    if (found == facts.last_runs.end()) return {};
    const auto& run = found->second;
    const auto evidence = paths::report(guest.id.vmid, "pre-start") + ": " + printable(run.outcome);
    if (run.outcome != "failed" && run.outcome != "refused") return {{Verdict::ok, evidence}};
    return {{Verdict::error, evidence + ", " + printable(run.error),
             by_command(guest.id.start_command(), "when what it says is done")}};
}

} // namespace

const NamedByVm& named_by(const CheckFacts& facts, const SurveyedGuest& guest)
{
    static const NamedByVm nothing;
    const auto found = facts.named.find(guest.id.vmid);
    return found == facts.named.end() ? nothing : found->second;
}

const std::vector<PassedDevice>& devices_of(const CheckFacts& facts, const SurveyedGuest& guest)
{
    return named_by(facts, guest).devices;
}

std::vector<Check> guest_checks()
{
    return {
        {"guest.config", "Proxmox reads every 'hostpci' line",
         "lines of the guest's configuration that Proxmox drops",
         "Proxmox starts the guest without a device whose line it cannot read: upper-case digits are enough",
         each_vm_with_devices<guest_config>},
        {"guest.device-present", "the host has what the guest is passed",
         "whether the host has what the hostpci lines name", "the guest does not start",
         each_vm_with_devices<guest_device_present>},
        {"guest.mapping", "resource mappings match the hardware", "resource mappings against the hardware",
         "Proxmox refuses to start a guest whose mapping does not match to the letter",
         each_vm_with_devices<guest_mapping>},
        {"guest.start", "nothing keeps the guest from its start",
         "what the hook would refuse at the next start: who uses what Proxmox takes, what is named twice",
         "the hook, or Proxmox itself, refuses the start", each_vm_with_devices<guest_start>},
        {"guest.mdev", "a mediated device is of one function",
         "mediated devices and how many functions they name",
         "Proxmox refuses a mediated device with several functions", each_vm_with_devices<guest_mdev>},
        {"guest.shared-card", "one guest alone is passed the card", "how many guests are passed the card",
         "the second one to start is refused", each_passed_gpu<guest_shared_card>},
        {"guest.migration", "the guest finds its card on every node",
         "addresses in hostpci lines, in a cluster or under high availability",
         "an address is good on one node only: elsewhere the guest does not start, or gets another device",
         each_vm_with_gpu<guest_migration>},
        {"guest.hookscript", "the hookscript can be run", "whether the hookscript is there and executable",
         "Proxmox does not start a guest whose hookscript is missing", each_guest<guest_hookscript>},
        {"guest.last-run", "the last start went well", "how the hook's last run before a start ended",
         "it says why the guest did not start", each_guest<guest_last_run>},
    };
}

} // namespace pvegpu
