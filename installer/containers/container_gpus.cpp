#include "containers/container_gpus.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <set>
#include <sys/stat.h>

namespace pvegpu {
namespace {

bool is_of(const GpuNode& node, const HostGpu& gpu)
{
    if (node.kind == NodeKind::dri) return !gpu.cards.empty() || !gpu.renders.empty();
    return node.address == gpu.address || contains(gpu.nodes(), node.path);
}

// The GPU's render node in the container, if this line gives it one.
std::string render_of(const WantedNode& wanted, const HostGpu& gpu)
{
    if (wanted.node.kind == NodeKind::dri && !gpu.renders.empty())
        return wanted.in_guest + "/renderD" + std::to_string(gpu.renders.front());
    return wanted.node.is_render() ? wanted.in_guest : "";
}

bool has_nodes(const HostGpu& gpu)
{
    return !gpu.nodes().empty();
}

std::string choice_of(const std::vector<HostGpu>& gpus)
{
    std::vector<std::string> names;
    names.reserve(gpus.size());
    for (const auto& gpu : gpus)
        names.push_back(quote(gpu.address) + (gpu.driver.empty()
                                                  ? " (no driver, so no device nodes)"
                                                  : " (driver " + quote(gpu.driver) +
                                                        (has_nodes(gpu) ? ")" : ", no device nodes)")));
    return names.empty() ? "this host has no GPU" : "this host has " + join(names, ", ");
}

// Numbers as nvidia-smi has them, where there is such a driver.
const HostGpu* by_number(const std::vector<HostGpu>& gpus, unsigned number)
{
    const bool nvidia = std::ranges::any_of(gpus, [](const auto& gpu) { return gpu.nvidia.has_value(); });
    unsigned place = 0;
    for (const auto& gpu : gpus) {
        if (nvidia && gpu.nvidia == number) return &gpu;
        if (!nvidia && has_nodes(gpu) && place++ == number) return &gpu;
    }
    return nullptr;
}

const HostGpu& by_word(const std::vector<HostGpu>& gpus, std::string_view word)
{
    const auto number = parse_decimal(word);
    const auto address = parse_pci_address(word);
    const auto* found = number ? by_number(gpus, *number) : find_by(gpus, address, &HostGpu::address);
    if (found == nullptr)
        throw Error(ErrorKind::not_found, {"there is no GPU " + quote(word), choice_of(gpus)});
    if (!found->holders.empty())
        throw Error(ErrorKind::in_use,
                    {quote(found->address) + " is in use by " + describe(found->holders.front()),
                     "a container and a VM cannot have one GPU at a time, stop it first"});
    if (!has_nodes(*found))
        throw Error(ErrorKind::invalid_config,
                    {quote(found->address) + " has no device nodes on the host, because its driver is " +
                         (found->driver.empty() ? "not loaded" : quote(found->driver)),
                     "a container needs the host's driver"});
    return *found;
}

// ".../gpu0/mig/gi1/ci0/access" -> "1/0"; ".../gi1/access" -> "1"; empty for what is no instance's.
std::string instance_of(const NvidiaCapability& capability)
{
    const auto parts = split(capability.file, '/');
    std::string name;
    for (const auto part : parts) {
        if (part.starts_with("gi") && parse_decimal(part.substr(2))) name = part.substr(2);
        if (part.starts_with("ci") && parse_decimal(part.substr(2)) && !name.empty())
            name += "/" + std::string(part.substr(2));
    }
    return name;
}

bool is_compute(const std::string& instance)
{
    return instance.find('/') != std::string::npos;
}

// "the MIG instances '1/0', '2/0'"
std::string instances_of(const std::vector<NvidiaCapability>& capabilities)
{
    std::vector<std::string> names;
    for (const auto& one : capabilities)
        if (const auto name = instance_of(one); is_compute(name)) names.push_back(name);
    return names.empty() ? "no compute instance" : "the MIG instances '" + join(names, "', '") + "'";
}

// The access to a GPU instance goes with that to each of its compute instances.
std::vector<NvidiaCapability> instances_named(const std::vector<NvidiaCapability>& capabilities,
                                              const std::vector<std::string>& words,
                                              std::set<std::string>& unknown)
{
    std::vector<NvidiaCapability> chosen;
    for (const auto& one : capabilities) {
        const auto name = instance_of(one);
        const auto is_wished = [&](const std::string& word) {
            return name == word || name.starts_with(word + "/") || word.starts_with(name + "/");
        };
        for (const auto& word : words)
            if (name == word) unknown.erase(word);
        if (std::ranges::any_of(words, is_wished)) chosen.push_back(one);
    }
    return chosen;
}

std::vector<NvidiaCapability> instances_without_a_word(const HostGpu& gpu,
                                                       const std::vector<NvidiaCapability>& capabilities,
                                                       const ContainerSurvey& container)
{
    std::vector<std::string> named;
    std::size_t compute = 0;
    for (const auto& one : capabilities) {
        const auto path = "/dev/nvidia-caps/nvidia-cap" + std::to_string(one.number);
        const auto name = instance_of(one);
        compute += is_compute(name) ? 1 : 0;
        if (is_compute(name) && std::ranges::any_of(container.wanted, [&](const auto& wanted) {
                return wanted.node.path == path;
            }))
            named.push_back(name);
    }
    std::set<std::string> unknown;
    if (!named.empty()) return instances_named(capabilities, named, unknown);
    if (compute > 1)
        throw Error(ErrorKind::not_found,
                    {"which MIG instance of " + quote(gpu.address) + "? name it with '--mig'",
                     "it has " + instances_of(capabilities)});
    return capabilities;
}

} // namespace

std::vector<GivenGpu> gpus_given_to(const ContainerSurvey& container)
{
    std::vector<GivenGpu> given;
    for (const auto& gpu : container.host.gpus) {
        GivenGpu one;
        for (const auto& wanted : container.wanted) {
            if (!is_of(wanted.node, gpu)) continue;
            one.gpu = &gpu;
            one.nvidia = one.nvidia || wanted.node.is_nvidia();
            if (one.render.empty()) one.render = render_of(wanted, gpu);
        }
        if (one.gpu != nullptr) given.push_back(std::move(one));
    }
    return given;
}

std::vector<const HostGpu*> choose_gpus(const std::vector<HostGpu>& gpus,
                                        const std::vector<std::string>& words)
{
    std::vector<const HostGpu*> chosen;
    for (const auto& list : words)
        for (const auto word : split(list, ','))
            if (const auto* gpu = &by_word(gpus, word); !contains(chosen, gpu)) chosen.push_back(gpu);
    if (!words.empty()) return chosen;
    for (const auto& gpu : gpus)
        if (has_nodes(gpu)) chosen.push_back(&gpu);
    if (chosen.size() != 1)
        throw Error(ErrorKind::not_found, {"which GPU? name it with '--gpu'", choice_of(gpus)});
    return chosen;
}

std::vector<NvidiaCapability> choose_instances(const std::vector<const HostGpu*>& gpus,
                                               const ContainerSurvey& container,
                                               const std::vector<std::string>& words)
{
    std::vector<std::string> list;
    for (const auto& word : words)
        for (const auto part : split(word, ',')) list.emplace_back(part);
    std::set<std::string> unknown(list.begin(), list.end());
    std::vector<NvidiaCapability> chosen;
    std::string choice;
    for (const auto* gpu : gpus) {
        const auto found = container.mig.find(gpu->address);
        if (found == container.mig.end()) continue;
        choice += (choice.empty() ? "" : "; ") + quote(gpu->address) + " has " + instances_of(found->second);
        append(chosen, list.empty() ? instances_without_a_word(*gpu, found->second, container)
                                    : instances_named(found->second, list, unknown));
    }
    if (!unknown.empty())
        throw Error(ErrorKind::not_found,
                    {"there is no MIG instance " + quote(*unknown.begin()),
                     choice.empty() ? "no GPU that was chosen is divided; see 'nvidia-smi -L'" : choice});
    return chosen;
}

std::vector<std::string> node_paths_of(const HostGpu& gpu, const ContainerSurvey& container,
                                       const std::vector<NvidiaCapability>& instances)
{
    auto paths = gpu.nodes();
    if (!gpu.nvidia) {
        if (gpu.is_amd() && container.host_nodes.contains("/dev/kfd")) paths.emplace_back("/dev/kfd");
        return paths;
    }
    paths = {"/dev/nvidia" + std::to_string(*gpu.nvidia), "/dev/nvidiactl", "/dev/nvidia-uvm",
             "/dev/nvidia-uvm-tools"};
    if (container.host_nodes.contains("/dev/nvidia-modeset")) paths.emplace_back("/dev/nvidia-modeset");
    if (const auto mig = container.mig.find(gpu.address); mig != container.mig.end())
        for (const auto& one : mig->second)
            if (std::ranges::find(instances, one.number, &NvidiaCapability::number) != instances.end())
                paths.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(one.number));
    return paths;
}

// Who may use a node in the container. Without a word Proxmox makes it 0660 and root's
// (create_passthrough_device_node in pve-container's LXC.pm), so a service with a user of its own could not
// open it. NVIDIA's own nodes are everybody's on the host too (NV_DEVICE_FILE_MODE of nvidia-modprobe), and
// render nodes and kfd are by default (systemd's 50-udev-default.rules); the group that a distribution gives
// them has another number in every container. Cards are for the group video: its number in a container that
// runs, else 44, which it is wherever base-passwd makes it. Of one that is mounted today nobody loses what
// the host's rights give him, and a capability that is root's stays so.
NewDevice device_for(const std::string& path, const ContainerSurvey& container,
                     const std::optional<FileFacts>& rights)
{
    constexpr gid_t video = 44;
    const auto node = parse_gpu_node(path);
    const bool cap = node && node->kind == NodeKind::nvidia_cap;
    if (cap && rights && (rights->mode & S_IRWXO) == 0) return {path, path + ",mode=0400"};
    const bool card = node && (node->kind == NodeKind::dri_card || path.ends_with("-card"));
    const bool everybodys = rights && (rights->mode & S_IROTH) != 0 && (rights->mode & S_IWOTH) != 0;
    if (!node || !card || everybodys) return {path, path + ",mode=0666"};
    const bool privileged = container.config.id_maps.empty();
    auto group = group_for(container.inside, *node).value_or(video);
    if (privileged && rights && rights->group != 0) group = rights->group;
    return {path, path + ",gid=" + std::to_string(group)};
}

} // namespace pvegpu
