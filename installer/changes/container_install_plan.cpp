#include "changes/container_install_plan.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/attach.hpp"
#include "changes/install_remarks.hpp"
#include "containers/container_gpus.hpp"
#include "containers/container_start.hpp"
#include "containers/hard_coded.hpp"
#include "containers/kept_access.hpp"
#include "containers/node_plan.hpp"
#include "host/programs.hpp"
#include "host/survey.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

class ContainerPlanner {
public:
    ContainerPlanner(const Survey& survey, const ContainerSurvey& container, const Manifest& manifest,
                     InstallPlan& plan)
        : survey_(survey), container_(container), manifest_(manifest), plan_(plan), guest_(guest()),
          config_(container.config), hard_coded_(hard_coded_lines(container))
    {
    }

    void add(const ContainerOptions& options)
    {
        const bool replaces = options.replace_hard_coded && !hard_coded_.lines.empty();
        if (replaces) cut_hard_coded_lines();
        if (!options.gpus.empty() || !options.mig.empty() || container_.wanted.empty()) add_gpus(options);
        if (replaces) keep_what_was_mounted();
        make_it_startable();
        make_missing_nodes();
        set_devices();
        if (replaces) warn_of_what_it_needs_now();
        const auto before = plan_.attachments.size();
        attach_guest(survey_, guest_, plan_);
        const bool attached = plan_.attachments.size() > before;
        if (attached) // then it needs the hook wherever it goes
            if (auto warning = cluster_warning(survey_, plan_.attachments.back()))
                plan_.warnings.push_back(std::move(*warning));
        remember_devices(attached);
        note_hard_coded_lines(replaces);
        warn_of_restart();
        check_programs(survey_, plan_);
    }

private:
    const SurveyedGuest& guest() const
    {
        const auto* found = survey_.find(container_.vmid);
        if (found == nullptr || !found->id.is_container())
            throw Error(ErrorKind::not_found, {"there is no container " + std::to_string(container_.vmid) +
                                                   " on the node '" + survey_.host.cluster.node + "'",
                                               "'pct list' shows those that are"});
        if (container_.config.is_template)
            throw Error(ErrorKind::invalid_config, {found->id.template_fact(), "give its clones their GPU"});
        return *found;
    }

    void add_gpus(const ContainerOptions& options)
    {
        const auto chosen = choose_gpus(container_.host.gpus, options.gpus);
        const auto instances = choose_instances(chosen, container_, options.mig);
        for (const auto* gpu : chosen) {
            for (const auto& path : node_paths_of(*gpu, container_, instances)) name_node(path);
            warn_of_vms(*gpu);
        }
    }

    void warn_of_vms(const HostGpu& gpu)
    {
        for (const auto& other : survey_.guests) {
            if (!contains(other.passed, gpu.address)) continue;
            Advice warning{"VM " + std::to_string(other.id.vmid) + " is given " + quote(gpu.address) +
                               " too (" + other.keys.at(gpu.address) + ")",
                           "only one of the two can run at a time"};
            if (!contains(plan_.warnings, warning)) plan_.warnings.push_back(std::move(warning));
        }
    }

    void name_node(const std::string& path, const std::optional<FileFacts>& rights = std::nullopt)
    {
        if (!is_named(path)) new_.push_back(device_for(path, container_, rights));
    }

    void cut_hard_coded_lines()
    {
        auto cut = without_lines(container_.text, hard_coded_.lines);
        config_ = parse_lxc_config(cut.text, container_.package);
        auto change =
            file_change(paths::ct_config(container_.vmid), container_.text, std::move(cut.text),
                        "so that devN entries, which follow the numbers, take the place of these lines");
        change.of_a_guest = true;
        change.lock = paths::ct_config_lock(container_.vmid);
        plan_.changes.push_back(std::move(change));
        cut_ = std::move(cut.lines);
    }

    // Whichever GPU was asked for.
    void keep_what_was_mounted()
    {
        const auto kept = access_to_keep(container_, hard_coded_);
        for (const auto& [path, rights] : kept.nodes) {
            name_node(path, rights);
            for (const auto& gpu : container_.host.gpus)
                if (contains(gpu.nodes(), path)) warn_of_vms(gpu);
        }
        append(plan_.warnings, kept.warnings);
        append(plan_.losses, kept.losses);
    }

    // Proxmox does not start a container without a node that a devN names; a mount that is optional is left
    // out.
    void warn_of_what_it_needs_now()
    {
        std::vector<std::string> nodes;
        for (const auto& path : hard_coded_.dispensable)
            if (std::ranges::find(new_, path, &NewDevice::path) != new_.end() && !contains(nodes, path))
                nodes.push_back(path);
        if (nodes.empty()) return;
        plan_.warnings.push_back({guest_.id.name() + " starts today where '" + join(nodes, "', '") +
                                      (nodes.size() == 1 ? "' is" : "' are") +
                                      " not on the host; as devN Proxmox refuses to start it then",
                                  "if it shall start without, leave '--replace-hard-coded' out"});
    }

    // By devN, or mounted: see double_entries.
    bool is_named(const std::string& path) const
    {
        const auto devices = config_.devices_at_next_start();
        return std::ranges::any_of(devices, [&](const LxcDevice& one) { return one.path == path; }) ||
               std::ranges::any_of(config_.mounts,
                                   [&](const LxcMount& mount) { return gives(mount, path); }) ||
               std::ranges::any_of(new_, [&](const NewDevice& one) { return one.path == path; });
    }

    static bool gives(const LxcMount& mount, const std::string& path)
    {
        const auto target = "/" + mount.target.substr(0, mount.target.find_last_not_of('/') + 1);
        return path == target || path.starts_with(target + "/");
    }

    // Before anything is changed.
    void make_it_startable()
    {
        auto forecast = forecast_start(container_, config_);
        if (!forecast.refusals.empty())
            throw Error(ErrorKind::invalid_config, cannot_start(container_.vmid, forecast.refusals));
        append(plan_.warnings, forecast.warnings);
        for (auto& argv : forecast.to_load)
            add_program(std::move(argv), "because a driver makes device nodes that the container names");
        to_make_ = std::move(forecast.to_make);
        for (const auto& device : new_)
            if (const auto node = parse_gpu_node(device.path);
                node && node->is_nvidia() && !container_.host_nodes.contains(device.path))
                to_make_.push_back(device.path);
    }

    // pct refuses a path that is not there, and so does a start.
    void make_missing_nodes()
    {
        for (const auto& path : to_make_) {
            const auto node = *parse_gpu_node(path);
            if (const auto missing = no_maker(node, container_.host))
                throw Error(ErrorKind::not_found,
                            {quote(path) + " is not there" + missing->fact, missing->remedy});
            add_program(nvidia_modprobe_arguments(node, capability_file(node)),
                        "because " + quote(path) + " has to be there before a container can be given it");
        }
    }

    void add_program(std::vector<std::string> argv, const std::string& reason)
    {
        if (argv.empty() || std::ranges::find(plan_.changes, argv, &Change::argv) != plan_.changes.end())
            return;
        Change change;
        change.kind = Change::Kind::program;
        change.argv = std::move(argv);
        change.reason = reason;
        plan_.changes.push_back(std::move(change));
    }

    std::string capability_file(const GpuNode& node) const
    {
        if (node.kind != NodeKind::nvidia_cap) return "";
        for (const auto& [gpu, capabilities] : container_.mig)
            for (const auto& one : capabilities)
                if (node.number == one.number) return one.file;
        const auto& all = container_.host.capabilities;
        const auto file = all ? all->find(*node.number) : std::map<unsigned, std::string>::const_iterator();
        return all && file != all->end() ? file->second : "";
    }

    std::string next_key()
    {
        auto used = container_.config.devices;
        append(used, container_.config.pending);
        while (true) {
            auto key = "dev" + std::to_string(next_++);
            if (!contains(used, key, &LxcDevice::key)) return key;
        }
    }

    void set_devices()
    {
        if (new_.empty()) return;
        if (!container_.package.knows_devices())
            throw Error(ErrorKind::invalid_config,
                        {"pve-container " + container_.package.version +
                             " does not know 'devN', by which a container is given a device; it came with "
                             "5.0.7",
                         "upgrade Proxmox ('apt update; apt full-upgrade') first"});
        const std::string pct(programs::pct);
        const auto vmid = std::to_string(container_.vmid);
        Change change;
        change.kind = Change::Kind::program;
        change.argv = {pct, "set", vmid};
        std::vector<std::string> keys;
        for (const auto& device : new_) {
            const auto key = next_key();
            change.argv.insert(change.argv.end(), {"--" + key, device.value});
            keys.push_back(key);
            added_.push_back(key + "=" + device.value);
        }
        change.undo = {pct, "set", vmid, "--delete", join(keys, ",")};
        change.reason = "so that " + guest_.id.name() +
                        " is given the device nodes of the GPU; Proxmox follows their "
                        "numbers";
        change.hint = "see whether the container is locked; only root@pam may set 'devN'";
        plan_.changes.push_back(std::move(change));
    }

    // What was added and taken by us at any time, so that `detach` can take it back.
    void remember_devices(bool just_attached)
    {
        if (added_.empty() && cut_.empty() && !just_attached) return;
        const auto* known = manifest_.attachment(container_.vmid);
        auto attachment = known != nullptr ? *known // or it was attached by hand
                                           : Attachment{container_.vmid, guest_.lxc.hookscript, ""};
        if (just_attached) {
            auto made = std::move(plan_.attachments.back());
            plan_.attachments.pop_back();
            made.devices = attachment.devices;
            made.lines = attachment.lines;
            made.owners = attachment.owners;
            attachment = std::move(made);
        }
        append(attachment.devices, added_);
        append(attachment.lines, cut_);
        std::vector<std::string> paths; // what was noted before is what was meant
        for (const auto& device : config_.devices_at_next_start())
            if (!attachment.owners.contains(device.path)) paths.push_back(device.path);
        for (const auto& device : new_) {
            attachment.owners.erase(device.path);
            paths.push_back(device.path);
        }
        attachment.owners.merge(owners_of(paths, container_.host.gpus));
        plan_.attachments.push_back(std::move(attachment));
    }

    void note_hard_coded_lines(bool replaced)
    {
        const auto &lines = hard_coded_.lines, &left = hard_coded_.left;
        const auto file = quote(paths::ct_config(container_.vmid));
        if (!replaced && !lines.empty())
            plan_.notes.push_back(guest_.id.name() +
                                  " mounts device nodes of a GPU with numbers that can change at a boot: " +
                                  describe(lines) + " of " + file +
                                  "; '--replace-hard-coded' replaces them by devN entries, which follow "
                                  "the numbers");
        if (!left.empty())
            plan_.notes.push_back(
                guest_.id.name() + ": " + describe(left) + " of " + file +
                " cannot be replaced by devN entries, which need a device node of the host and "
                "keep its path");
    }

    void warn_of_restart()
    {
        const auto reasons = restart_reasons(container_.inside);
        if (!reasons.empty())
            plan_.warnings.push_back(
                {guest_.id.name() +
                 " has to be restarted, because its configuration names what it does not have: " +
                 join(reasons, ", ")});
        else if (container_.running && !container_.inside.seen)
            plan_.warnings.push_back(
                {guest_.id.name() + ": " + cannot_inspect, "whether it has to be restarted is not known"});
    }

    const Survey& survey_;
    const ContainerSurvey& container_;
    const Manifest& manifest_;
    InstallPlan& plan_;
    const SurveyedGuest& guest_;
    LxcConfig config_; // without what is replaced
    HardCoded hard_coded_;
    std::vector<NewDevice> new_;
    std::vector<std::string> to_make_; // paths
    std::vector<std::string> added_, cut_;
    unsigned next_ = 0;
};

} // namespace

void add_container_changes(const Survey& survey, const ContainerSurvey& container,
                           const ContainerOptions& options, const Manifest& manifest, InstallPlan& plan)
{
    ContainerPlanner(survey, container, manifest, plan).add(options);
}

} // namespace pvegpu
