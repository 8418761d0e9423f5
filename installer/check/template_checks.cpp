// VM templates: what their clones get, and who may then clone them.
#include "base/lists.hpp"
#include "check/findings.hpp"

namespace pvegpu {
namespace {

std::string who_clones(const CheckFacts& facts)
{
    return "and " + std::string(paths::pve_users) + " has " + counted(facts.cloning_tokens, "API token") +
           " that may clone VMs";
}

// A clone gets every line, and no token may change or delete this one there: Proxmox compares the user with
// 'root@pam', and a token is called 'root@pam!name' (check_vm_modify_config_perm in qemu-server's
// API2/Qemu.pm). bpg/proxmox deletes a hookscript that its resource does not name right after the clone
// (vmCreateClone in its vm.go; bpg/terraform-provider-proxmox issue 3083).
Findings hook_of_template(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto& hook = guest.config.hookscript;
    const bool monitor = has_monitor(guest.args.next);
    if (hook.empty() && !monitor) return {};
    const bool ours = guest.attached || hook.empty();
    const auto* const clones = "then attach the hook to its clones";
    return {
        {Verdict::note,
         guest.id.config_path() + " has " +
             (hook.empty() ? "the hook's monitor in 'args'" : "'hookscript: " + printable(hook, 80) + "'") +
             ", " + who_clones(facts) +
             ": each clone gets it, and no token, not even one of root@pam, may change or delete it there",
         ours ? by_command("pve-gpu-install detach --vm " + guest.id.number(), clones)
              : set(guest, "--delete hookscript", "then give it to its clones, as root on their node"),
         hook.empty()
             ? ""
             : "Terraform's provider bpg/proxmox deletes a hookscript that its resource does not name "
               "right after the clone, and fails: \"only root can set 'hookscript' config\""}};
}

// check_mapping_access in qemu-server's QemuServer.pm, since resource mappings came (8.0.4).
Findings addresses_of_template(const CheckFacts& facts, const SurveyedGuest& guest)
{
    std::vector<std::string> keys;
    for (const auto& line : guest.config.hostpci)
        if (!line.hosts.empty()) keys.push_back(line.key());
    if (keys.empty()) return {};
    return {{Verdict::note,
             guest.id.config_path() + ": " + quote(join(keys, "', '")) +
                 (keys.size() > 1 ? " name addresses, " : " names an address, ") + who_clones(facts) +
                 ": Proxmox refuses them this template",
             {"Datacenter > Resource Mappings > Add; then choose the mapping in the template's hardware, and "
              "give the token and its user 'PVEMappingUser' on /mapping/pci/NAME"},
             "\"only root can set '" + keys.front() + "' config for non-mapped devices\""}};
}

Findings guest_template(const CheckFacts& facts, const SurveyedGuest& guest)
{
    auto findings = hook_of_template(facts, guest);
    append(findings, addresses_of_template(facts, guest));
    if (guest.config.hostpci.empty()) return findings; // nothing of ours, and nothing in its way
    return or_ok(findings, guest.id.config_path() + " has no hookscript, and names resource mappings only");
}

} // namespace

std::vector<Check> template_checks()
{
    return {
        {"guest.template", "API tokens can clone the template",
         "VM templates with a hookscript or with addresses in hostpci lines, where /etc/pve/user.cfg has API "
         "tokens that may clone VMs",
         "Terraform and OpenTofu clone with such a token", [](const CheckFacts& facts) {
             return about_each<guest_template>(facts, facts.survey.guests, [&](const SurveyedGuest& guest) {
                 return facts.cloning_tokens > 0 && guest.id.is_vm() && guest.config.is_template;
             });
         }}};
}

} // namespace pvegpu
