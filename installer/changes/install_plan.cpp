#include "changes/install_plan.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/attach.hpp"
#include "changes/guest_reboots.hpp"
#include "changes/install_remarks.hpp"
#include "changes/instance_install_plan.hpp"
#include "host/host_files.hpp"
#include "host/programs.hpp"
#include "host/reboot.hpp"
#include "host/survey.hpp"
#include "machine/paths.hpp"
#include "usage/instances.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::string vm(unsigned vmid)
{
    return "VM " + std::to_string(vmid);
}

std::string reason_for(const Tokens& tokens)
{
    return has_token(tokens, "intel_iommu=on") ? "because this kernel leaves Intel's IOMMU off, and without "
                                                 "it no device can be passed to a guest"
                                               : "so that the host's own devices get faster DMA";
}

bool has_gpu(const Survey& survey, unsigned vmid)
{
    return std::ranges::any_of(survey.functions, [&](const auto& function) {
        return function.on_card_of(vmid) && function.passed && is_gpu(function.facts);
    });
}

std::string instead_of_template(const Survey& survey, const SurveyedGuest& guest)
{
    std::string text = "attach the hook to its clones";
    if (has_gpu(survey, guest.id.vmid))
        text += "; 'pve-gpu-install --host --vm " + guest.id.number() + "' prepares the host for them";
    if (guest.attached)
        text += "; 'pve-gpu-install detach --vm " + guest.id.number() + "' takes the hook off the template";
    return text;
}

const SurveyedGuest& prepared(const Survey& survey, unsigned vmid, bool host_only)
{
    const auto* guest = survey.find(vmid);
    if (guest == nullptr)
        throw Error(ErrorKind::not_found,
                    {"there is no " + vm(vmid) + " on the node '" + survey.host.cluster.node + "'",
                     "'qm list' shows those that are"});
    if (guest->id.is_container())
        throw Error(ErrorKind::invalid_config,
                    {"guest " + std::to_string(vmid) + " is a container, not a VM", "name it with '--ct'"});
    if (guest->config.is_template && !host_only)
        throw Error(ErrorKind::invalid_config,
                    {guest->id.template_fact(), instead_of_template(survey, *guest)});
    if (guest->problem)
        throw Error(ErrorKind::invalid_config,
                    {vm(vmid) + ": " + guest->problem->fact, guest->problem->remedy});
    if (guest->config.hostpci.empty())
        throw Error(ErrorKind::invalid_config,
                    {vm(vmid) + " has no 'hostpci' line",
                     "give it its GPU first, in the web interface or with 'qm set'"});
    if (!has_gpu(survey, vmid))
        throw Error(ErrorKind::invalid_config,
                    {"none of the devices of " + vm(vmid) + " is a GPU that is passed to it whole",
                     "it needs no hook"});
    return *guest;
}

class Planner {
public:
    Planner(const Survey& survey, const InstallRequest& request) : survey_(survey), request_(request) {}

    InstallPlan plan()
    {
        if (!survey_.host.cluster.quorate)
            throw Error(ErrorKind::failed,
                        {"no quorum: guest configurations are read-only", "see 'pvecm status'"});
        if (!survey_.unseen.empty())
            throw Error(
                ErrorKind::failed,
                {"what VM " + quote(survey_.unseen.front()) + " needs of the host is not known: " +
                     (survey_.daemon_problem ? survey_.daemon_problem->fact : "its QEMU does not answer"),
                 survey_.daemon_problem ? survey_.daemon_problem->remedy : "stop it first"});
        std::vector<const SurveyedGuest*> guests;
        for (const auto vmid : request_.vms)
            if (is_instance(vmid))
                plan_instance(survey_, *survey_.find(vmid), request_.host_only, plan_);
            else
                guests.push_back(&prepared(survey_, vmid, request_.host_only));
        for (const auto* guest : guests)
            if (!request_.host_only) {
                attach_guest(survey_, *guest, plan_);
                plan_guest_reboots(survey_, *guest, request_.guest_reboot, plan_);
            }
        if (request_.host_only && survey_.host.cluster.clustered) // a guest can come from another node
            link_hook(survey_, plan_);
        change_host_files();
        for (auto& program : build_programs(survey_.host, plan_.changes))
            plan_.changes.push_back(std::move(program));
        check_programs(survey_, plan_);
        append(plan_.notes, install_notes(survey_, request_));
        append(plan_.warnings, install_warnings(survey_, request_, plan_));
        plan_.reboot_reasons = reboot_reasons(survey_, changes_next_boot(plan_.changes));
        return std::move(plan_);
    }

private:
    void change_file(std::string_view path, const std::string& text, const std::string& reason)
    {
        const auto before = survey_.file(path);
        const auto after = text.empty() ? std::nullopt : std::optional(text);
        if (before == after) return;
        if (const auto link = survey_.links.find(std::string(path)); link != survey_.links.end())
            throw Error(ErrorKind::invalid_config,
                        {"is a link to " + quote(link->second) + ", and only a plain file is changed",
                         "put a copy of that file in its place"},
                        std::string(path));
        plan_.changes.push_back(file_change(std::string(path), before, after, reason));
    }

    void change_host_files()
    {
        if (survey_.functions.empty()) return;
        change_command_line();
        change_file(paths::modules_load, modules_load_text(),
                    "so that vfio-pci is there before the first guest starts");
        change_file(
            paths::modprobe,
            modprobe_text(survey_.functions, request_.blacklist, survey_.file(paths::modprobe).value_or("")),
            "so that vfio-pci comes before the host's drivers, and a card that it holds is not put to sleep");
        change_file(
            paths::udev_rules, udev_rules_text(survey_.functions),
            survey_.ids_elsewhere.empty()
                ? "because the host has a device with the same ids: vfio-pci is told the guest's by its "
                  "address"
                : "because vfio-pci is given other ids already: it is told the guest's devices by their "
                  "addresses");
        change_file(paths::initramfs_modules,
                    with_initramfs_block(survey_.file(paths::initramfs_modules).value_or("")),
                    "so that vfio-pci is in the initramfs, and comes first there too");
    }

    void change_command_line()
    {
        const auto loader = survey_.host.loader;
        const auto needed = needed_tokens(survey_.host.cpu, survey_.host.kernel);
        const bool both = loader == BootLoader::proxmox_undecided;
        if (loader == BootLoader::proxmox_systemd || (both && cmdline_file_is_usable()))
            change_cmdline_file(needed);
        if (loader == BootLoader::grub || loader == BootLoader::proxmox_grub || both)
            if (const auto missing = missing_tokens(needed, survey_.configured); !missing.empty())
                change_file(paths::grub_drop_in, grub_drop_in_text(missing), reason_for(missing));
    }

    bool cmdline_file_is_usable() const
    {
        return has_key(parse_cmdline_file(survey_.file(paths::kernel_cmdline_file).value_or("")), "root");
    }

    void change_cmdline_file(const Tokens& needed)
    {
        const auto text = survey_.file(paths::kernel_cmdline_file).value_or("");
        const auto given = parse_cmdline_file(text);
        if (!cmdline_file_is_usable())
            throw Error(ErrorKind::invalid_config,
                        {"has no 'root=', without which 'proxmox-boot-tool refresh' fails",
                         "write the kernel's command line into it"},
                        std::string(paths::kernel_cmdline_file));
        if (const auto missing = missing_tokens(needed, given); !missing.empty())
            change_file(paths::kernel_cmdline_file, append_tokens(text, missing), reason_for(missing));
    }

    const Survey& survey_;
    const InstallRequest& request_;
    InstallPlan plan_;
};

bool changes_any(const std::vector<Change>& changes, std::initializer_list<std::string_view> files)
{
    return std::ranges::any_of(changes, [&](const Change& change) { return contains(files, change.path); });
}

Change build_program(std::vector<std::string> argv, std::string reason, std::string hint)
{
    Change change;
    change.kind = Change::Kind::program;
    change.argv = change.undo = std::move(argv);
    change.reason = std::move(reason);
    change.hint = std::move(hint);
    return change;
}

} // namespace

InstallPlan make_install_plan(const Survey& survey, const InstallRequest& request)
{
    return Planner(survey, request).plan();
}

bool changes_next_boot(const std::vector<Change>& changes)
{
    return changes_any(changes, {paths::modules_load, paths::modprobe, paths::udev_rules,
                                 paths::initramfs_modules, paths::grub_drop_in, paths::kernel_cmdline_file});
}

std::vector<Change> build_programs(const HostFacts& host, const std::vector<Change>& changes)
{
    std::vector<Change> result;
    if (changes_any(changes, {paths::modprobe, paths::initramfs_modules, paths::udev_rules}))
        result.push_back(build_program({std::string(programs::update_initramfs), "-u", "-k", "all"},
                                       "because the initramfs has copies of these files",
                                       "see whether /boot is full"));
    if (!changes_any(changes, {paths::grub_drop_in, paths::kernel_cmdline_file})) return result;
    const std::string reason = "because the boot loader has a copy of the command line";
    if (host.loader == BootLoader::grub)
        result.push_back(build_program({std::string(programs::update_grub)}, reason, "see its output above"));
    else
        result.push_back(build_program({std::string(programs::proxmox_boot_tool), "refresh"}, reason,
                                       "see 'proxmox-boot-tool status'"));
    return result;
}

} // namespace pvegpu
