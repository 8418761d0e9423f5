#include "changes/container_install_plan.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "changes/attach.hpp"
#include "changes/install_remarks.hpp"
#include "containers/container_gpus.hpp"
#include "containers/hard_coded.hpp"
#include "host/programs.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

class ContainerPlanner {
public:
    ContainerPlanner(const Survey& survey, const ContainerSurvey& container, const Manifest& manifest,
                     InstallPlan& plan)
        : survey_(survey), container_(container), manifest_(manifest), plan_(plan), guest_(guest()),
          wanted_(container.wanted), hard_coded_(hard_coded_lines(container))
    {
    }

    void add(const ContainerWishes& wishes)
    {
        const bool replaces = wishes.replace_hard_coded && !hard_coded_.lines.empty();
        if (replaces) cut_hard_coded_lines();
        if (!wishes.gpus.empty() || container_.wanted.empty())
            for (const auto* gpu : choose_gpus(container_.gpus, wishes.gpus)) add_gpu(*gpu);
        if (replaces) name_what_was_mounted(wishes.gpus.empty());
        make_missing_nodes();
        set_devices();
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
            throw Error(Reason::not_found, {"there is no container " + std::to_string(container_.vmid) +
                                                " on the node '" + survey_.host.cluster.node + "'",
                                            "'pct list' shows those that are"});
        if (container_.config.is_template)
            throw Error(Reason::invalid_config, {found->id.name() + " is a template"});
        return *found;
    }

    void add_gpu(const HostGpu& gpu)
    {
        for (const auto& path : node_paths_of(gpu, container_)) name_node(path);
        for (const auto& other : survey_.guests)
            if (contains(other.passed, gpu.address))
                plan_.warnings.push_back({"VM " + std::to_string(other.id.vmid) + " is given " +
                                              quote(gpu.address) + " too (" + other.keys.at(gpu.address) +
                                              ")",
                                          "only one of the two can run at a time"});
    }

    void name_node(const std::string& path)
    {
        if (!is_named(path)) new_.push_back(device_for(path));
    }

    void cut_hard_coded_lines()
    {
        auto cut = without_lines(container_.text, hard_coded_.lines);
        const auto config = parse_lxc_config(cut.text);
        wanted_ = wanted_nodes(config, config.devices_at_next_start());
        auto change = file_change(paths::ct_config(container_.vmid), container_.text, std::move(cut.text),
                                  "devN entries, which follow the numbers, take the place of these lines");
        change.of_a_guest = true;
        change.lock = paths::ct_config_lock(container_.vmid);
        plan_.changes.push_back(std::move(change));
        cut_ = std::move(cut.lines);
    }

    // It keeps every node that it had, and of a whole directory the GPUs' that were asked for.
    void name_what_was_mounted(bool every_gpu)
    {
        for (const auto& path : hard_coded_.paths) name_node(path);
        if (!hard_coded_.directory || !every_gpu) return;
        for (const auto& gpu : container_.gpus)
            for (const auto& path : gpu.nodes())
                if (path.starts_with("/dev/dri/")) name_node(path);
    }

    // By devN, or mounted: a second entry for one path keeps the container from starting, because Proxmox
    // makes a file where LXC has made one already (lxc-pve-autodev-hook).
    bool is_named(const std::string& path) const
    {
        const auto has_it = [&](const WantedNode& wanted) {
            return wanted.in_guest == path ||
                   (wanted.node.is_directory() && path.starts_with(wanted.in_guest + "/"));
        };
        return std::ranges::any_of(wanted_, has_it) || contains(new_, path, &NewDevice::path);
    }

    // pct refuses a path that is not there.
    void make_missing_nodes()
    {
        for (const auto& device : new_) {
            const auto node = parse_gpu_node(device.path);
            if (!node || !node->is_nvidia() || container_.host_nodes.contains(device.path)) continue;
            if (!container_.nvidia_modprobe)
                throw Error(Reason::not_found,
                            {"'" + device.path +
                                 "' is not there, and 'nvidia-modprobe', which makes it, is not installed",
                             "install it, or run 'nvidia-smi' once"});
            Change change;
            change.kind = Change::Kind::program;
            change.argv = nvidia_modprobe_arguments(*node, capability_file(*node));
            change.reason = "'" + node->path + "' has to be there before a container can be given it";
            if (!change.argv.empty() && !contains(plan_.changes, change.argv, &Change::argv))
                plan_.changes.push_back(std::move(change));
        }
    }

    std::string capability_file(const GpuNode& node) const
    {
        for (const auto& [gpu, capabilities] : container_.mig)
            for (const auto& one : capabilities)
                if (node.kind == NodeKind::nvidia_cap && node.number == one.number) return one.file;
        return "";
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
        change.reason = guest_.id.name() + " is given the device nodes of the GPU; Proxmox follows their "
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
            attachment = std::move(made);
        }
        append(attachment.devices, added_);
        append(attachment.lines, cut_);
        plan_.attachments.push_back(std::move(attachment));
    }

    void note_hard_coded_lines(bool replaced)
    {
        const auto& [lines, left, paths, directory] = hard_coded_;
        const auto file = quote(paths::ct_config(container_.vmid));
        if (!replaced && !lines.empty())
            plan_.notes.push_back(guest_.id.name() +
                                  " mounts GPU nodes with numbers that can change at a boot: " +
                                  describe(lines) + " of " + file +
                                  "; '--replace-hard-coded' replaces them by devN entries, which follow "
                                  "the numbers");
        if (!left.empty())
            plan_.notes.push_back(guest_.id.name() + ": " + describe(left) + " of " + file +
                                  " cannot be replaced by devN entries, which need a node of the host and "
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
    std::vector<WantedNode> wanted_; // without what is replaced
    HardCoded hard_coded_;
    std::vector<NewDevice> new_;
    std::vector<std::string> added_, cut_;
    unsigned next_ = 0;
};

} // namespace

void add_container_changes(const Survey& survey, const ContainerSurvey& container,
                           const ContainerWishes& wishes, const Manifest& manifest, InstallPlan& plan)
{
    ContainerPlanner(survey, container, manifest, plan).add(wishes);
}

} // namespace pvegpu
