#include "ct_install_plan.hpp"

#include "attach.hpp"
#include "ct_hard_coded.hpp"
#include "error.hpp"
#include "install_remarks.hpp"
#include "paths.hpp"
#include "programs.hpp"
#include "text.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::string name(unsigned vmid)
{
    return "container " + std::to_string(vmid);
}

bool has_nodes(const HostGpu& gpu)
{
    return gpu.nvidia || !gpu.renders.empty() || !gpu.cards.empty();
}

std::string choice_of(const std::vector<HostGpu>& gpus)
{
    std::vector<std::string> names;
    names.reserve(gpus.size());
    for (const auto& gpu : gpus)
        names.push_back("'" + to_string(gpu.address) + "' (" +
                        (has_nodes(gpu)       ? "driver " + quote(gpu.driver)
                         : gpu.driver.empty() ? std::string("no driver, so no device nodes")
                                              : "driver " + quote(gpu.driver) + ", no device nodes") +
                        ")");
    return names.empty() ? "this host has no GPU" : "this host has " + join(names, ", ");
}

// Numbers as nvidia-smi has them, where there is such a driver.
const HostGpu* by_number(const std::vector<HostGpu>& gpus, unsigned number)
{
    const bool nvidia = std::any_of(gpus.begin(), gpus.end(), [](const auto& gpu) { return gpu.nvidia; });
    unsigned place = 0;
    for (const auto& gpu : gpus) {
        if (nvidia && gpu.nvidia == number) return &gpu;
        if (!nvidia && has_nodes(gpu) && place++ == number) return &gpu;
    }
    return nullptr;
}

const HostGpu& by_word(const std::vector<HostGpu>& gpus, std::string_view word)
{
    const HostGpu* found = nullptr;
    if (const auto number = parse_decimal(word)) found = by_number(gpus, *number);
    if (const auto address = parse_pci_address(word))
        for (const auto& gpu : gpus)
            if (gpu.address == *address) found = &gpu;
    if (found == nullptr)
        throw Error(Reason::not_found, "there is no GPU " + quote(word) + "; " + choice_of(gpus));
    if (!found->holders.empty())
        throw Error(Reason::in_use,
                    "'" + to_string(found->address) + "' is in use by " + describe(found->holders.front()) +
                        "; a container and a VM cannot have one GPU at a time, stop it first");
    if (!has_nodes(*found))
        throw Error(Reason::invalid_config,
                    "'" + to_string(found->address) +
                        "' has no device nodes on the host, because its driver "
                        "is " +
                        (found->driver.empty() ? "not loaded" : quote(found->driver)) +
                        "; a container needs the host's driver");
    return *found;
}

struct NewDevice {
    std::string path, value;
};

// Who may use a node in the container. Without a word Proxmox makes it 0660 and root's
// (create_passthrough_device_node in pve-container's LXC.pm), so a service with a user of its own could not
// open it. NVIDIA's own nodes are everybody's on the host too (NV_DEVICE_FILE_MODE of nvidia-modprobe), and
// render nodes and kfd are by default (systemd's 50-udev-default.rules); the group that a distribution gives
// them has another number in every container. Cards are for the group video, which is 44 wherever
// base-passwd makes it.
NewDevice device_for(const std::string& path)
{
    const auto node = parse_gpu_node(path);
    const bool card = node && (node->kind == NodeKind::dri_card || path.ends_with("-card"));
    return {path, path + (card ? ",gid=44" : ",mode=0666")};
}

std::vector<std::string> dri_paths_of(const HostGpu& gpu)
{
    std::vector<std::string> paths;
    for (const auto number : gpu.renders) paths.push_back("/dev/dri/renderD" + std::to_string(number));
    for (const auto number : gpu.cards) paths.push_back("/dev/dri/card" + std::to_string(number));
    return paths;
}

std::vector<std::string> nvidia_paths_of(const HostGpu& gpu, const ContainerSurvey& host)
{
    std::vector<std::string> paths{"/dev/nvidia" + std::to_string(*gpu.nvidia), "/dev/nvidiactl",
                                   "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"};
    if (host.host_nodes.contains("/dev/nvidia-modeset")) paths.emplace_back("/dev/nvidia-modeset");
    if (const auto mig = host.mig.find(gpu.address); mig != host.mig.end())
        for (const auto& instance : mig->second)
            paths.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(instance.number));
    return paths;
}

std::vector<std::string> paths_of(const HostGpu& gpu, const ContainerSurvey& host)
{
    if (gpu.nvidia) return nvidia_paths_of(gpu, host);
    auto paths = dri_paths_of(gpu);
    if (gpu.is_amd() && host.host_nodes.contains("/dev/kfd")) paths.emplace_back("/dev/kfd");
    return paths;
}

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
        if (plan_.attachments.size() > before) warn_of_cluster();
        remember_devices(plan_.attachments.size() > before);
        note_hard_coded_lines(replaces);
        warn_of_restart();
        check_programs(survey_, plan_);
    }

private:
    const SurveyedGuest& guest() const
    {
        const auto* found = survey_.find(container_.vmid);
        if (found == nullptr || !found->container)
            throw Error(Reason::not_found, "there is no " + name(container_.vmid) + " on the node '" +
                                               survey_.host.cluster.node +
                                               "'; 'pct list' shows those that are");
        if (container_.config.is_template)
            throw Error(Reason::invalid_config, name(container_.vmid) + " is a template");
        return *found;
    }

    void add_gpu(const HostGpu& gpu)
    {
        for (const auto& path : paths_of(gpu, container_)) name_node(path);
        for (const auto& other : survey_.guests)
            if (std::find(other.passed.begin(), other.passed.end(), gpu.address) != other.passed.end())
                plan_.warnings.push_back("VM " + std::to_string(other.vmid) + " is given '" +
                                         to_string(gpu.address) + "' too (" + other.keys.at(gpu.address) +
                                         "); only one of the two can run at a time");
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
        plan_.changes.push_back(std::move(change));
        cut_ = std::move(cut.lines);
    }

    // It keeps every node that it had, and of a whole directory the GPUs' that were asked for.
    void name_what_was_mounted(bool every_gpu)
    {
        for (const auto& path : hard_coded_.paths) name_node(path);
        if (!hard_coded_.directory || !every_gpu) return;
        for (const auto& gpu : container_.gpus)
            for (const auto& path : dri_paths_of(gpu)) name_node(path);
    }

    // By devN, or mounted: a second entry for one path keeps the container from starting, because Proxmox
    // makes a file where LXC has made one already (lxc-pve-autodev-hook).
    bool is_named(const std::string& path) const
    {
        const auto has_it = [&](const WantedNode& wanted) {
            return wanted.in_guest == path ||
                   (wanted.node.is_directory() && path.starts_with(wanted.in_guest + "/"));
        };
        return std::any_of(wanted_.begin(), wanted_.end(), has_it) ||
               std::any_of(new_.begin(), new_.end(), [&](const NewDevice& one) { return one.path == path; });
    }

    // pct refuses a path that is not there.
    void make_missing_nodes()
    {
        for (const auto& device : new_) {
            const auto node = parse_gpu_node(device.path);
            if (!node || !node->is_nvidia() || container_.host_nodes.contains(device.path)) continue;
            if (!container_.nvidia_modprobe)
                throw Error(Reason::not_found,
                            "'" + device.path +
                                "' is not there, and 'nvidia-modprobe', which makes it, is "
                                "not installed; install it, or run 'nvidia-smi' once");
            make_node(*node);
        }
    }

    std::string capability_file(const GpuNode& node) const
    {
        for (const auto& [gpu, capabilities] : container_.mig)
            for (const auto& one : capabilities)
                if (node.kind == NodeKind::nvidia_cap && node.number == one.number) return one.file;
        return "";
    }

    void make_node(const GpuNode& node)
    {
        Change change;
        change.kind = Change::Kind::program;
        change.argv = nvidia_modprobe_arguments(node, capability_file(node));
        change.reason = "'" + node.path + "' has to be there before a container can be given it";
        const bool planned = std::any_of(plan_.changes.begin(), plan_.changes.end(),
                                         [&](const Change& other) { return other.argv == change.argv; });
        if (!planned && !change.argv.empty()) plan_.changes.push_back(std::move(change));
    }

    bool key_is_used(const std::string& key) const
    {
        const auto has_key = [&](const LxcDevice& device) { return device.key == key; };
        const auto& config = container_.config;
        return std::any_of(config.devices.begin(), config.devices.end(), has_key) ||
               std::any_of(config.pending.begin(), config.pending.end(), has_key);
    }

    std::string next_key()
    {
        while (key_is_used("dev" + std::to_string(next_))) ++next_;
        return "dev" + std::to_string(next_++);
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
        change.reason = name(container_.vmid) +
                        " is given the device nodes of the GPU; Proxmox follows their "
                        "numbers";
        change.hint = "see whether the container is locked; only root@pam may set 'devN'";
        plan_.changes.push_back(std::move(change));
    }

    // An attached container needs the hook wherever it goes.
    void warn_of_cluster()
    {
        if (auto warning = cluster_warning(survey_, plan_.attachments.back()))
            plan_.warnings.push_back(std::move(*warning));
    }

    // What was added and taken by us at any time, so that `detach` can take it back.
    void remember_devices(bool just_attached)
    {
        const auto* known = manifest_.attachment(container_.vmid);
        if (added_.empty() && cut_.empty() && !just_attached) return;
        Attachment attachment;
        if (just_attached) {
            attachment = plan_.attachments.back();
            plan_.attachments.pop_back();
        } else if (known != nullptr) {
            attachment = *known;
        } else {
            attachment = {container_.vmid, guest_.lxc.hookscript, ""}; // attached by hand
        }
        if (known != nullptr) attachment.devices = known->devices;
        if (known != nullptr) attachment.lines = known->lines;
        attachment.devices.insert(attachment.devices.end(), added_.begin(), added_.end());
        attachment.lines.insert(attachment.lines.end(), cut_.begin(), cut_.end());
        plan_.attachments.push_back(std::move(attachment));
    }

    void note_hard_coded_lines(bool replaced)
    {
        const auto& [lines, left, paths, directory] = hard_coded_;
        const auto file = quote(paths::ct_config(container_.vmid));
        if (!replaced && !lines.empty())
            plan_.notes.push_back(name(container_.vmid) +
                                  " mounts GPU nodes with numbers that can change at a boot: " +
                                  describe(lines) + " of " + file +
                                  "; '--replace-hard-coded' replaces them by devN entries, which follow "
                                  "the numbers");
        if (!left.empty())
            plan_.notes.push_back(name(container_.vmid) + ": " + describe(left) + " of " + file +
                                  " cannot be replaced by devN entries, which need a node of the host and "
                                  "keep its path");
    }

    void warn_of_restart()
    {
        const auto reasons = restart_reasons(container_.inside);
        if (!reasons.empty())
            plan_.warnings.push_back(name(container_.vmid) +
                                     " has to be restarted, because its configuration "
                                     "names what it does not have: " +
                                     join(reasons, ", "));
        else if (container_.running && !container_.inside.seen)
            plan_.warnings.push_back(name(container_.vmid) +
                                     " runs and could not be looked into; whether it has "
                                     "to be restarted is not known");
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

// A directory that is given has what lies in it.
bool gives(const GpuNode& node, const std::string& path)
{
    return node.path == path || (node.is_directory() && path.starts_with(node.path + '/'));
}

} // namespace

std::vector<const HostGpu*> choose_gpus(const std::vector<HostGpu>& gpus,
                                        const std::vector<std::string>& words)
{
    std::vector<const HostGpu*> chosen;
    for (const auto& list : words)
        for (const auto word : split(list, ','))
            if (const auto* gpu = &by_word(gpus, word);
                std::find(chosen.begin(), chosen.end(), gpu) == chosen.end())
                chosen.push_back(gpu);
    if (!words.empty()) return chosen;
    for (const auto& gpu : gpus)
        if (has_nodes(gpu)) chosen.push_back(&gpu);
    if (chosen.size() != 1)
        throw Error(Reason::not_found, "which GPU? name it with '--gpu'; " + choice_of(gpus));
    return chosen;
}

void add_container_changes(const Survey& survey, const ContainerSurvey& container,
                           const ContainerWishes& wishes, const Manifest& manifest, InstallPlan& plan)
{
    ContainerPlanner(survey, container, manifest, plan).add(wishes);
}

std::optional<WantedNode> wanted_node_of(const SurveyedGuest& container, const CardNodes& card)
{
    for (auto& one : wanted_nodes(container.lxc, container.lxc.devices_at_next_start()))
        if (one.node.address == card.function ||
            std::any_of(card.paths.begin(), card.paths.end(),
                        [&](const auto& path) { return gives(one.node, path); }))
            return std::move(one);
    return std::nullopt;
}

std::vector<std::string> shared_card_warnings(const Survey& survey, const std::vector<CardNodes>& cards)
{
    std::vector<std::string> warnings;
    for (const auto& guest : survey.guests)
        for (const auto& card : cards)
            if (guest.container && wanted_node_of(guest, card)) {
                warnings.push_back(name(guest.vmid) + " is given device nodes of '" +
                                   to_string(card.function) + "' too; it loses them while the VM runs");
                break;
            }
    return warnings;
}

} // namespace pvegpu
