#include "changes/install_remarks.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/attach.hpp"
#include "check/iommu_checks.hpp"
#include "host/host_files.hpp"
#include "host/reboot.hpp"
#include "host/survey.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

void warn_of_command_line(const Survey& survey, std::vector<Advice>& warnings)
{
    append(warnings, command_line_warnings(survey.configured));
    if (survey.host.loader != BootLoader::unknown) return;
    const auto missing =
        missing_tokens(needed_tokens(survey.host.cpu, survey.host.kernel), survey.host.running);
    if (!missing.empty())
        warnings.push_back({"this host's boot loader is none that we know",
                            "add '" + join(missing, " ") + "' to the kernel's command line yourself"});
}

// Where the card is left alone, what is not passed keeps nothing busy, and may be the host's own: an APU's
// slot has USB controllers.
void warn_of_halves(const Survey& survey, std::vector<Advice>& warnings)
{
    for (const auto& function : survey.functions)
        if (!function.passed && function.reset_with_card)
            warnings.push_back({named(survey.names, function.facts) + " is on the card of " +
                                    survey.name_of(function.vmids.front()) + " but not passed to it",
                                "pass it too, so that nothing on the host can keep the card busy"});
}

// Of the guests that are asked for; where none is named, of all that are prepared.
bool is_asked(const InstallRequest& request, const SurveyedFunction& function)
{
    return request.vms.empty() ||
           std::ranges::any_of(request.vms, [&](unsigned vmid) { return function.on_card_of(vmid); });
}

std::string gpu_of_vm(const Survey& survey, const SurveyedFunction& function)
{
    return named(survey.names, function.facts) + " of " + survey.name_of(function.vmids.front());
}

// Where it resets none of the guest's GPUs.
std::string without_the_hook(const Survey& survey, const InstallRequest& request,
                             const SurveyedFunction& function)
{
    const auto vmid = function.vmids.front();
    const bool resets_another = std::ranges::any_of(survey.functions, [&](const auto& one) {
        return one.reset_with_card && one.passed && one.on_card_of(vmid);
    });
    const auto* const guest = survey.find(vmid);
    if (request.host_only || resets_another || guest == nullptr) return "";
    return "; 'pve-gpu-install --host " + guest->id.option() + "' prepares the host without the hook";
}

void warn_of_left_alone(const Survey& survey, const InstallRequest& request, std::vector<Advice>& warnings)
{
    for (const auto& function : survey.functions)
        if (function.passed && is_gpu(function.facts) && !function.left_alone_because.empty() &&
            is_asked(request, function))
            warnings.push_back({"the hook does not reset " + gpu_of_vm(survey, function) + ": " +
                                    function.left_alone_because,
                                function.instead + without_the_hook(survey, request, function)});
}

void warn_of_boot_display(const Survey& survey, const InstallRequest& request, std::vector<Advice>& warnings)
{
    for (const auto& function : survey.functions)
        if (function.passed && function.facts.boot_vga && is_asked(request, function))
            warnings.push_back({gpu_of_vm(survey, function) +
                                    " is the display that the host boots on (boot_vga is 1): the host's "
                                    "screen goes dark, and its console with it",
                                "be sure that you reach the host over the network, or choose another GPU as "
                                "'primary display' in the firmware's setup"});
}

std::string where_ha_moves(const SurveyedGuest& guest, const std::string& this_node)
{
    if (!guest.ha) return "";
    auto nodes = guest.ha->nodes;
    if (nodes.empty()) return ", and high availability may move it to one";
    std::erase(nodes, this_node);
    return nodes.empty() ? "" : ", and high availability may move it to '" + join(nodes, "' or '") + "'";
}

void warn_of_blacklist(const Survey& survey, std::vector<Advice>& warnings)
{
    for (const auto& module : gpu_modules(survey.functions))
        warnings.push_back({"'--blacklist' keeps " + quote(module) +
                                " from every card of the host, not only from the guest's",
                            "leave it out if the host needs one"});
}

void warn_of_vain_reboot(const Survey& survey, const std::vector<Change>& planned,
                         std::vector<Advice>& warnings)
{
    if (reboot_helps(survey, changes_next_boot(planned))) return;
    for (const auto& [what, hope] : unprepared(survey, false))
        warnings.push_back(
            {what + ", and another reboot changes nothing: the host has booted with these files already",
             "'pve-gpu-install check' shows what is in the way"});
}

void note_ids_elsewhere(const Survey& survey, std::vector<std::string>& notes)
{
    const bool matters = std::ranges::any_of(survey.functions, &SurveyedFunction::leaves_the_host);
    if (!matters || survey.ids_elsewhere.empty()) return;
    notes.push_back(join(survey.ids_elsewhere, " and ") +
                    " gives 'ids=' to vfio-pci, and the kernel takes one such list only; that one is left as "
                    "it is, and the guest's devices are bound by their addresses");
}

} // namespace

std::vector<std::string> install_notes(const Survey& survey, const InstallRequest& request)
{
    std::vector<std::string> notes;
    for (const auto& function : survey.functions) {
        const bool asked =
            std::ranges::any_of(request.vms, [&](unsigned vmid) { return function.on_card_of(vmid); });
        if (asked && function.passed && function.reset_with_card && is_gpu(function.facts) &&
            resets_itself(function.facts))
            notes.push_back(named(survey.names, function.facts) +
                            " has a reset of its own (FLR) and may not need the hook; \"strategy\": "
                            "\"auto\" in '" +
                            std::string(paths::settings) + "' leaves it alone while it is well");
        if (function.twin && function.leaves_the_host())
            notes.push_back(named(survey.names, function.facts) + " has the same ids as '" +
                            to_string(*function.twin) + "', which " +
                            (function.twin_vmids.empty()
                                 ? "stays with the host"
                                 : survey.name_of(function.twin_vmids.front()) + " is passed") +
                            "; it is bound by its address, not by its ids");
    }
    note_ids_elsewhere(survey, notes);
    for (const auto& guest : survey.may_come)
        notes.push_back("the host is prepared for " + guest.id.name() + " of the node " +
                        quote(guest.other_node) + ", too, which can come to this one");
    const auto& host = survey.host;
    if (!survey.functions.empty() && host.iommu_on && host.loader != BootLoader::unknown &&
        !has_key(host.running, "iommu"))
        notes.push_back(quote(faster_only) +
                        " only makes the host's own devices faster; no reboot is needed for it");
    if (request.host_only && survey.functions.empty())
        notes.emplace_back("no VM of this node, or that can come to it, has a GPU, so there is nothing to "
                           "prepare; run this again when one has");
    if (!survey.functions.empty() && host.loader == BootLoader::proxmox_undecided)
        notes.emplace_back("boot loader unclear ('proxmox-boot-tool status' tells it); writing kernel "
                           "parameters to both, GRUB and systemd-boot");
    if (host.lockdown == true && survey.port_without_reset)
        notes.emplace_back(
            "the kernel is locked down (Secure Boot) and offers no reset below a port, so the hook can "
            "only remove the card and find it again; a newer kernel has 'reset_subordinate'");
    return notes;
}

std::vector<Advice> install_warnings(const Survey& survey, const InstallRequest& request,
                                     const InstallPlan& plan)
{
    std::vector<Advice> warnings;
    warn_of_command_line(survey, warnings);
    append(warnings, iommu_warnings(survey.host));
    warn_of_left_alone(survey, request, warnings);
    warn_of_boot_display(survey, request, warnings);
    warn_of_halves(survey, warnings);
    warn_of_vain_reboot(survey, plan.changes, warnings);
    for (const auto& attachment : plan.attachments)
        if (auto warning = cluster_warning(survey, attachment)) warnings.push_back(std::move(*warning));
    if (request.blacklist) warn_of_blacklist(survey, warnings);
    return warnings;
}

// ProxMenux had to withdraw its hook because of this. What other nodes have in a directory of their own
// cannot be seen from here; on a shared storage the link is there for all of them, but not the program that
// it leads to.
std::optional<Advice> cluster_warning(const Survey& survey, const Attachment& attachment)
{
    if (!survey.host.cluster.clustered) return std::nullopt;
    const auto* guest = survey.find(attachment.vmid);
    const auto* storage = storage_of(survey.storages, attachment.volume);
    const bool shared = storage != nullptr && storage->shared;
    return Advice{
        (guest == nullptr ? "guest " + std::to_string(attachment.vmid) : guest->id.name()) +
            " cannot start on a node without " +
            (shared ? "'" + std::string(paths::hook_program) + "'" : quote(attachment.volume)) +
            (guest == nullptr ? "" : where_ha_moves(*guest, survey.host.cluster.node)),
        std::string(
            "install the package on every node that it can go to and run 'pve-gpu-install --host' there") +
            (attachment.old_volume.empty()
                 ? ""
                 : "; its other hookscript " + quote(attachment.old_volume) + " runs on this node only")};
}

} // namespace pvegpu
