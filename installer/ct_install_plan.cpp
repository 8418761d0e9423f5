#include "ct_install_plan.hpp"

#include "attach.hpp"
#include "error.hpp"
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

// Who may use a node in the container. NVIDIA's own nodes are everybody's on the host too
// (NV_DEVICE_FILE_MODE of nvidia-modprobe), and render nodes are by default (systemd's
// 50-udev-default.rules); the group that a distribution gives them has another number in every container.
// Cards are for the group video, which is 44 wherever base-passwd makes it.
std::vector<NewDevice> devices_of(const HostGpu& gpu, const std::set<std::string>& host_nodes)
{
    std::vector<NewDevice> devices;
    const auto everybody = [&](const std::string& path) { devices.push_back({path, path + ",mode=0666"}); };
    if (gpu.nvidia) {
        for (const auto& path : {"/dev/nvidia" + std::to_string(*gpu.nvidia), std::string("/dev/nvidiactl"),
                                 std::string("/dev/nvidia-uvm"), std::string("/dev/nvidia-uvm-tools")})
            everybody(path);
        if (host_nodes.contains("/dev/nvidia-modeset")) everybody("/dev/nvidia-modeset");
        return devices;
    }
    for (const auto number : gpu.renders) everybody("/dev/dri/renderD" + std::to_string(number));
    for (const auto number : gpu.cards) {
        const auto path = "/dev/dri/card" + std::to_string(number);
        devices.push_back({path, path + ",gid=44"});
    }
    if (gpu.is_amd() && host_nodes.contains("/dev/kfd")) everybody("/dev/kfd");
    return devices;
}

class ContainerPlanner {
public:
    ContainerPlanner(const Survey& survey, const ContainerSurvey& container, const Manifest& manifest,
                     InstallPlan& plan)
        : survey_(survey), container_(container), manifest_(manifest), plan_(plan), guest_(guest())
    {
    }

    void add(const std::vector<std::string>& words)
    {
        if (!words.empty() || container_.wanted.empty())
            for (const auto* gpu : choose_gpus(container_.gpus, words)) add_gpu(*gpu);
        make_missing_nodes();
        set_devices();
        const auto before = plan_.attachments.size();
        attach_container(survey_, guest_, plan_);
        remember_devices(plan_.attachments.size() > before);
        note_hard_coded_lines();
        warn_of_restart();
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
        for (auto& device : devices_of(gpu, container_.host_nodes))
            if (!is_named(device.path)) new_.push_back(std::move(device));
        for (const auto& other : survey_.guests)
            if (std::find(other.passed.begin(), other.passed.end(), gpu.address) != other.passed.end())
                plan_.warnings.push_back("VM " + std::to_string(other.vmid) + " is given '" +
                                         to_string(gpu.address) + "' too (" + other.keys.at(gpu.address) +
                                         "); only one of the two can run at a time");
    }

    // By devN, or mounted: a second entry for one path keeps the container from starting, because Proxmox
    // makes a file where LXC has made one already (lxc-pve-autodev-hook).
    bool is_named(const std::string& path) const
    {
        const auto has_it = [&](const WantedNode& wanted) {
            return wanted.in_guest == path ||
                   (wanted.node.is_directory() && path.starts_with(wanted.in_guest + "/"));
        };
        return std::any_of(container_.wanted.begin(), container_.wanted.end(), has_it) ||
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
            Change change;
            change.kind = Change::Kind::program;
            change.argv = {std::string(paths::nvidia_modprobe_program)};
            if (node->kind == NodeKind::nvidia_uvm || node->kind == NodeKind::nvidia_uvm_tools)
                change.argv.insert(change.argv.end(), {"-u", "-c", "0"});
            else
                change.argv.insert(change.argv.end(), {"-c", std::to_string(node->number.value_or(255))});
            change.reason = "'" + device.path + "' has to be there before a container can be given it";
            const bool planned = std::any_of(plan_.changes.begin(), plan_.changes.end(),
                                             [&](const Change& other) { return other.argv == change.argv; });
            if (!planned) plan_.changes.push_back(std::move(change));
        }
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

    // What was added by us at any time, so that `detach` can take it back.
    void remember_devices(bool just_attached)
    {
        const auto* known = manifest_.attachment(container_.vmid);
        if (added_.empty() && !just_attached) return;
        Attachment attachment;
        if (just_attached) {
            attachment = plan_.attachments.back();
            plan_.attachments.pop_back();
        } else if (known != nullptr) {
            attachment = *known;
        } else {
            attachment = {container_.vmid, guest_.lxc.hookscript, "", {}}; // attached by hand
        }
        if (known != nullptr) attachment.devices = known->devices;
        attachment.devices.insert(attachment.devices.end(), added_.begin(), added_.end());
        plan_.attachments.push_back(std::move(attachment));
    }

    bool is_a_gpus(const LxcAllow& allow) const
    {
        if (allow.everything || allow.block || !allow.major) return false;
        const auto driver = container_.majors.name_of(*allow.major);
        constexpr unsigned nvidia = 195, drm = 226; // Linux's Documentation/admin-guide/devices.txt
        return *allow.major == nvidia || *allow.major == drm || driver.starts_with("nvidia") ||
               driver == "kfd" || driver.empty();
    }

    // pct has no word for lxc.* lines: 'delete' takes options of its schema only (API2/LXC/Config.pm).
    void note_hard_coded_lines()
    {
        std::vector<std::string> lines;
        for (const auto& mount : container_.config.mounts)
            if (parse_gpu_node(mount.source))
                lines.push_back("line " + std::to_string(mount.line) + " (lxc.mount.entry of " +
                                quote(mount.source) + ")");
        if (lines.empty()) return;
        for (const auto& allow : container_.config.allowed)
            if (is_a_gpus(allow))
                lines.push_back("line " + std::to_string(allow.line) + " (lxc.cgroup2.devices.allow of " +
                                quote(allow.text) + ")");
        plan_.notes.push_back(
            name(container_.vmid) +
            " mounts GPU nodes with numbers that can change at a boot, and 'pct' cannot remove "
            "such lines; to have Proxmox follow the numbers remove " +
            join(lines, ", ") + " of '" + paths::ct_config(container_.vmid) +
            "' and run this again with '--gpu'");
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
    std::vector<NewDevice> new_;
    std::vector<std::string> added_;
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
                           const std::vector<std::string>& words, const Manifest& manifest, InstallPlan& plan)
{
    ContainerPlanner(survey, container, manifest, plan).add(words);
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
