// What a guest's configuration does with the card: lines, mappings, other guests, other nodes, the
// hookscript.
#include "base/error.hpp"
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "machine/paths.hpp"
#include "proxmox/passthrough.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using Guests = std::vector<const SurveyedGuest*>;

std::vector<PciAddress> all_addresses(const CheckFacts& facts)
{
    std::vector<PciAddress> all;
    all.reserve(facts.topology.functions.size());
    for (const auto& [address, function] : facts.topology.functions) all.push_back(address);
    return all;
}

// Empty where Proxmox would refuse; 'guest.config' says why.
std::vector<PassedDevice> devices_of(const CheckFacts& facts, const SurveyedGuest& guest)
{
    try {
        return resolve_hostpci(guest.config, facts.mappings, facts.host.cluster.node, all_addresses(facts));
    } catch (const Error&) {
        return {};
    }
}

Findings warnings_of(const SurveyedGuest& guest)
{
    Findings findings;
    for (const auto& warning : guest.config.warnings)
        findings.push_back(about_guest(guest, warning.loses_device ? Verdict::error : Verdict::note,
                                       to_string(warning.in(conf_of(guest))),
                                       {"correct the line in " + conf_of(guest)}));
    return findings;
}

// A path of a mapping as Proxmox looks at it: function 0 where it names a whole slot.
std::optional<PciAddress> first_function(const std::string& path)
{
    return parse_pci_address(path.find('.') == std::string::npos ? path + ".0" : path);
}

// assert_valid in pve-guest-common's Mapping/PCI.pm. By then Proxmox has the device on vfio-pci, where
// nothing offers mediated devices.
std::string mismatch_of(const CheckFacts& facts, const MappedDevice& mapped)
{
    for (std::size_t index = 0; index < mapped.paths.size(); ++index) {
        const auto address = first_function(mapped.paths[index].text);
        const auto* function = address ? facts.topology.find(*address) : nullptr;
        if (function == nullptr) continue; // 'guest.device-present' tells
        const MappedFacts now{device_id(*function), subsystem_id(*function), function->iommu_group,
                              std::nullopt};
        if (const auto reason = mapping_mismatch(mapped, now, index)) return *reason;
    }
    return "";
}

Finding mapping_of(const CheckFacts& facts, const SurveyedGuest& guest, const PassedDevice& device)
{
    for (const auto& one : device.alternatives) {
        if (!one.mapped) continue;
        if (const auto reason = mismatch_of(facts, *one.mapped); !reason.empty())
            return about_guest(guest, Verdict::error,
                               conf_of(guest) + ": " + device.key + ", mapping " + quote(*device.mapping) +
                                   " (" + std::string(paths::pve_pci_mappings) + ":" +
                                   std::to_string(one.mapped->line) + "): " + reason,
                               {"Datacenter > Resource Mappings > " + *device.mapping +
                                ": choose the device anew on this node"});
    }
    return about_guest(guest, Verdict::ok,
                       conf_of(guest) + ": " + device.key + ", mapping " + quote(*device.mapping) + " (" +
                           std::string(paths::pve_pci_mappings) + "), matches");
}

Findings missing_of(const SurveyedGuest& guest, const PassedDevice& device)
{
    Findings findings;
    for (const auto& one : device.alternatives)
        for (const auto& selector : one.missing)
            findings.push_back(about_guest(
                guest, Verdict::error,
                conf_of(guest) + ": " + device.key + " names " + quote(selector.text) + ", and " +
                    std::string(paths::pci_functions) + " has nothing that begins so",
                by_command("lspci -D", "if the card has another address now, write that one into " +
                                           device.key +
                                           "; if it is gone, switch the host's power off and on")));
    return findings;
}

bool starts_at_boot(const CheckFacts& facts, unsigned vmid)
{
    const auto* guest = facts.survey.find(vmid);
    return guest != nullptr && (guest->config.setting("onboot") == "1" || guest->ha);
}

Finding sharing(const CheckFacts& facts, const CardFacts& one)
{
    std::vector<std::string> names;
    names.reserve(one.vmids.size());
    for (const auto vmid : one.vmids) names.push_back("VM " + std::to_string(vmid));
    const auto evidence = "'hostpci' lines of " + join(names, ", ") + " name " + quote(to_string(one.gpu));
    const auto at_boot = std::count_if(one.vmids.begin(), one.vmids.end(),
                                       [&](unsigned vmid) { return starts_at_boot(facts, vmid); });
    if (at_boot > 1)
        return about_card(one, Verdict::warning,
                          evidence + ", and more than one of them starts with the host",
                          by_command("qm set " + std::to_string(one.vmids.back()) + " --onboot 0"));
    return about_card(one, Verdict::note, evidence + ": one of them can run at a time",
                      {"stop one before the other starts; a backup in 'stop' mode starts a guest too"});
}

bool has_raw_device(const SurveyedGuest& guest)
{
    return std::any_of(guest.config.hostpci.begin(), guest.config.hostpci.end(),
                       [](const HostPci& line) { return !line.hosts.empty(); });
}

Finding migration_of(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const Fix map{"Datacenter > Resource Mappings > Add; then choose the mapping in the VM's hardware"};
    if (!has_raw_device(guest))
        return about_guest(guest, Verdict::ok, conf_of(guest) + " names resource mappings only");
    if (guest.ha)
        return about_guest(guest, Verdict::warning,
                           std::string(paths::pve_ha_resources) + " has it, and a 'hostpci' line in " +
                               conf_of(guest) + " names an address",
                           by_command("ha-manager remove vm:" + std::to_string(guest.vmid),
                                      "takes it out of high availability; or: " + map.text));
    if (facts.host.cluster.clustered)
        return about_guest(guest, Verdict::note,
                           "a 'hostpci' line in " + conf_of(guest) + " names an address of this node", map);
    return about_guest(guest, Verdict::ok,
                       std::string(paths::pve_members) + " has no other node that it could go to");
}

bool shared_storage(const CheckFacts& facts, const std::string& volume)
{
    const auto& storages = facts.survey.storages;
    return std::any_of(storages.begin(), storages.end(), [&](const Storage& storage) {
        return storage.shared && volume.starts_with(storage.id + ":");
    });
}

Finding hookscript_here(const SurveyedGuest& guest, const HookscriptFacts& hook)
{
    constexpr mode_t executable = 0111;
    const auto& volume = guest.config.hookscript;
    const auto again = guest.attached ? by_command(install_command(guest),
                                                   "or: " + set_command(guest, "--delete hookscript"), true)
                                      : set(guest, "--delete hookscript", "or put the file back");
    if (!hook.path)
        return about_guest(guest, Verdict::error,
                           "the storage of the hookscript " + quote(volume) + " is not in " +
                               std::string(paths::pve_storages),
                           again);
    if (hook.unseen)
        return about_guest(
            guest, Verdict::unknown, quote(*hook.path) + " cannot be looked at: its storage does not answer",
            by_command("pvesm status", "mend the storage, or choose another one for the hookscript"));
    if (!hook.file) return about_guest(guest, Verdict::error, quote(*hook.path) + " is absent", again);
    if (!hook.file->regular || (hook.file->mode & executable) == 0)
        return about_guest(guest, Verdict::error, quote(*hook.path) + " is not executable",
                           by_command("chmod 755 " + *hook.path));
    return about_guest(guest, Verdict::ok, quote(*hook.path) + " is there and executable");
}

} // namespace

Findings guest_config(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_devices(facts)) {
        auto wrong = warnings_of(*guest);
        if (guest->problem)
            wrong.push_back(about_guest(
                *guest, Verdict::error, conf_of(*guest) + ": " + guest->problem->fact,
                {guest->problem->remedy.empty() ? "correct " + conf_of(*guest) : guest->problem->remedy}));
        if (wrong.empty())
            wrong.push_back(
                about_guest(*guest, Verdict::ok, conf_of(*guest) + " has no line that Proxmox drops"));
        findings.insert(findings.end(), wrong.begin(), wrong.end());
    }
    return findings;
}

Findings guest_device_present(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_devices(facts)) {
        Findings wrong;
        const auto devices = devices_of(facts, *guest);
        for (const auto& device : devices)
            for (auto& finding : missing_of(*guest, device)) wrong.push_back(std::move(finding));
        if (wrong.empty() && !devices.empty())
            wrong.push_back(about_guest(*guest, Verdict::ok,
                                        std::string(paths::pci_functions) + " has every device that " +
                                            conf_of(*guest) + " names"));
        findings.insert(findings.end(), wrong.begin(), wrong.end());
    }
    return findings;
}

Findings guest_mapping(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_devices(facts))
        for (const auto& device : devices_of(facts, *guest))
            if (device.mapping) findings.push_back(mapping_of(facts, *guest, device));
    return findings;
}

Findings guest_mdev(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_devices(facts))
        for (const auto& device : devices_of(facts, *guest)) {
            if (!device.mdev) continue;
            const auto functions = device.taken().functions.size();
            const auto evidence =
                conf_of(*guest) + ": " + device.key + " has 'mdev' and " + counted(functions, "function");
            findings.push_back(functions > 1
                                   ? about_guest(*guest, Verdict::error, evidence,
                                                 by_command(set_command(*guest, "--" + device.key + " ") +
                                                                to_string(device.taken().functions.front()) +
                                                                ",mdev=" + *device.mdev,
                                                            "name one function"))
                                   : about_guest(*guest, Verdict::ok, evidence));
        }
    return findings;
}

Findings guest_shared_card(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        if (one.vmids.size() > 1) findings.push_back(sharing(facts, one));
        if (one.vmids.size() == 1)
            findings.push_back(
                about_card(one, Verdict::ok, "the 'hostpci' lines of VM " + vm_of(one) + " alone name it"));
    }
    return findings;
}

Findings guest_migration(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_gpus(facts)) findings.push_back(migration_of(facts, *guest));
    return findings;
}

Findings guest_hookscript(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [vmid, hook] : facts.hookscripts) {
        const auto* guest = facts.survey.find(vmid);
        if (guest == nullptr) continue;
        findings.push_back(hookscript_here(*guest, hook));
        if (facts.host.cluster.clustered && hook.path && !shared_storage(facts, guest->config.hookscript))
            findings.push_back(about_guest(
                *guest, Verdict::unknown,
                "whether the other nodes have " + quote(guest->config.hookscript) +
                    " cannot be seen from here",
                by_command("ls -lL " + *hook.path,
                           "on every node that it can go to; where it is missing: 'pve-gpu-install "
                           "--host'")));
    }
    return findings;
}

Findings guest_last_run(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [vmid, run] : facts.last_runs) {
        const auto* guest = facts.survey.find(vmid);
        if (guest == nullptr) continue;
        const auto report = paths::report(vmid, "pre-start");
        const bool bad = run.outcome == "failed" || run.outcome == "refused";
        if (bad)
            findings.push_back(about_guest(
                *guest, Verdict::error, report + ": " + printable(run.outcome) + ", " + printable(run.error),
                by_command(std::string(guest->container ? "pct" : "qm") + " start " + std::to_string(vmid),
                           "when what it says is done")));
        else
            findings.push_back(about_guest(*guest, Verdict::ok, report + ": " + printable(run.outcome)));
    }
    return findings;
}

} // namespace pvegpu
