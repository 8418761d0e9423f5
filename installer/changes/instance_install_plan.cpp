#include "changes/instance_install_plan.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "incus/boot_unit.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// Without a word of its own a VM starts at boot if it ran when the host went down.
bool starts_at_boot(const Instance& instance)
{
    const auto said = instance.setting(autostart_key);
    if (!said.empty()) return said == "true" || said == "1" || said == "yes" || said == "on";
    return !instance.stopped() || instance.setting("volatile.last_state.power") == "RUNNING";
}

class InstancePlanner {
public:
    InstancePlanner(const Survey& survey, const SurveyedGuest& guest, InstallPlan& plan)
        : survey_(survey), guest_(guest), instance_(*guest.instance), plan_(plan),
          own_(instance_.own), attached_{instance_.name, instance_.socket, {}, {}, false, {}}
    {
    }

    void attach()
    {
        add_addresses();
        add_missing();
        auto autostart = own_autostart(instance_);
        if (autostart != "false") {
            attached_.set_autostart = true;
            attached_.autostart = autostart;
            autostart = "false";
        }
        if (own_ != instance_.own && !instance_.stopped())
            throw Error(ErrorKind::in_use,
                        {guest_.id.name() + " is not stopped, and would be given devices while it runs",
                         "stop it first, '" + instance_.command("stop") + "'"});
        if (const auto text = instance_text(own_, autostart); text != instance_text(instance_))
            plan_.changes.push_back(instance_change(instance_, text, reason()));
        start_at_boot();
        if (!guest_.attached || !attached_.given.empty() || attached_.set_autostart)
            plan_.instances.push_back(attached_);
        plan_.notes.push_back(guest_.id.name() + " gets a clean card when 'pve-gpu-install start --incus " +
                              guest_.id.instance + "' starts it; a bare '" + instance_.command("start") +
                              "' and a reboot of its guest recover nothing");
    }

private:
    std::string reason() const
    {
        std::vector<std::string> reasons;
        if (own_ != instance_.own)
            reasons.emplace_back("so that all of the card goes to it, by its addresses, and all that shares "
                                 "an IOMMU group with that");
        if (attached_.set_autostart)
            reasons.emplace_back(
                "so that nothing but the unit starts it at boot, whose start recovers the card");
        return join(reasons, "; ");
    }

    // A `gpu` that is named by its ids would be another card once this one is off the bus.
    void add_addresses()
    {
        for (auto& [name, options] : own_) {
            if (options["type"] != "gpu" || device_address(options)) continue;
            const auto gpu = gpu_of(name);
            if (!gpu) continue;
            attached_.before[name] = options;
            for (const auto* key : {"id", "vendorid", "productid"}) options.erase(key);
            options["pci"] = to_string(*gpu);
            attached_.given[name] = options;
        }
    }

    std::optional<PciAddress> gpu_of(const std::string& device) const
    {
        for (const auto& function : survey_.functions)
            if (const auto key = guest_.keys.find(function.facts.address);
                key != guest_.keys.end() && key->second == device && is_gpu(function.facts))
                return function.facts.address;
        return std::nullopt;
    }

    void add_missing()
    {
        for (const auto& missing : guest_.missing) {
            // On the card itself: vfio-pci will have it from the next boot on.
            if (!missing.used_by.empty() && !missing.on_card)
                throw Error(ErrorKind::in_use,
                            {named(survey_.names, missing.facts) +
                                 " shares an IOMMU group with the card of " + guest_.id.name() +
                                 " and would have to go to it, but is in use by " + missing.used_by,
                             "put the card into another slot, or end that use"});
            auto name = missing.name;
            while (instance_.all.contains(name)) name += "x";
            own_[name] =
                attached_.given[name] = {{"type", "pci"}, {"address", to_string(missing.facts.address)}};
        }
    }

    void start_at_boot()
    {
        if (guest_.attached || !starts_at_boot(instance_)) return;
        const auto link = boot_unit_link(instance_.name);
        if (survey_.links.contains(link)) return;
        plan_.changes.push_back(link_change(link, std::nullopt, std::string(paths::incus_unit),
                                            "so that it starts at boot as before, with a clean card; '" +
                                                disable_command(instance_.name) + "' ends that"));
    }

    const Survey& survey_;
    const SurveyedGuest& guest_;
    const Instance& instance_;
    InstallPlan& plan_;
    Devices own_;
    AttachedInstance attached_;
};

} // namespace

void plan_instance(const Survey& survey, const SurveyedGuest& guest, bool host_only, InstallPlan& plan)
{
    if (guest.problem)
        throw Error(ErrorKind::invalid_config,
                    {guest.id.name() + ": " + guest.problem->fact, guest.problem->remedy});
    const bool has_gpu = std::ranges::any_of(survey.functions, [&](const auto& function) {
        return is_gpu(function.facts) && guest.keys.contains(function.facts.address);
    });
    if (!has_gpu)
        throw Error(
            ErrorKind::invalid_config,
            {"none of the devices of " + guest.id.name() + " is a GPU that it is given whole",
             "give it one first: '" +
                 guest.instance->command("config device add", "gpu gpu gputype=physical pci=ADDRESS") + "'"});
    if (!host_only) InstancePlanner(survey, guest, plan).attach();
}

InstanceRemoval plan_instance_removal(const Survey& survey, const SurveyedGuest& guest,
                                      const AttachedInstance& attached, IfItRuns if_it_runs)
{
    InstanceRemoval removal;
    const auto& instance = *guest.instance;
    auto own = instance.own;
    for (const auto& [name, options] : attached.given) {
        const auto found = own.find(name);
        if (found == own.end()) continue;
        if (found->second != options) {
            removal.warnings.push_back(
                {"the device " + quote(name) + " of " + guest.id.name() +
                     " was changed since it was given, and is left as it is",
                 "'" + instance.command("config device remove", name) + "' takes it away"});
            continue;
        }
        own.erase(found);
        if (const auto before = attached.before.find(name); before != attached.before.end())
            own[name] = before->second;
    }
    auto autostart = own_autostart(instance);
    if (attached.set_autostart && autostart == "false") autostart = attached.autostart;
    if (own != instance.own && !instance.stopped() && if_it_runs == IfItRuns::keep_devices) {
        own = instance.own;
        removal.warnings.push_back(
            {guest.id.name() + " is not stopped and keeps the devices that it was given",
             "'" + instance.command("config device list") + "' shows them"});
    }
    if (own != instance.own && !instance.stopped())
        throw Error(ErrorKind::in_use,
                    {guest.id.name() + " is not stopped, and would lose devices while it runs",
                     "stop it first, '" + instance.command("stop") + "'"});
    if (const auto text = instance_text(own, autostart); text != instance_text(instance))
        removal.changes.push_back(instance_change(instance, text, "because it was so before"));
    const auto link = boot_unit_link(instance.name);
    if (const auto found = survey.links.find(link);
        found != survey.links.end() && found->second == paths::incus_unit)
        removal.changes.push_back(
            link_change(link, found->second, std::nullopt, "because it was not there before"));
    return removal;
}

} // namespace pvegpu
