#include "containers/node_prospects.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/nvidia_nodes.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

constexpr unsigned first_render = 128; // DRM_MINOR_RENDER in the kernel's drm_drv.c

using Candidates = std::vector<const HostGpu*>; // that could have a node, whoever has them now

template <typename Test> const HostGpu* first_of(const Candidates& candidates, Test test)
{
    const auto* found = find_where(candidates, test);
    return found == nullptr ? nullptr : *found;
}

// A VM has it, or is about to.
bool is_a_vms(const HostGpu* gpu)
{
    return !gpu->holders.empty();
}

// A driver that is loaded would take it.
bool can_be_bound(const HostGpu* gpu)
{
    return gpu->driver.empty() && !is_a_vms(gpu);
}

bool is_dri(NodeKind kind)
{
    return kind == NodeKind::dri || kind == NodeKind::dri_card || kind == NodeKind::dri_render ||
           kind == NodeKind::dri_by_path;
}

bool is_render(const GpuNode& node)
{
    return node.kind == NodeKind::dri_render ||
           (node.kind == NodeKind::dri_by_path && node.path.ends_with("-render"));
}

// The displays of servers' management controllers have no render node (no DRIVER_RENDER in the kernel's ast
// and mgag200). Of others it is known once the driver has them: the render node comes before the card's
// (drm_dev_register).
bool renders(const HostGpu& gpu)
{
    const bool of_a_server = gpu.id.starts_with("1a03:") || gpu.id.starts_with("102b:"); // ASPEED, Matrox
    return !of_a_server && (gpu.cards.empty() || !gpu.renders.empty());
}

// A driver of the host has it; pci-stub is none, it only keeps others away.
bool is_the_hosts(const HostGpu& gpu)
{
    return !gpu.driver.empty() && !gpu.on_vfio && gpu.driver != "pci-stub";
}

// A driver of the host has it that makes such nodes.
bool serves(const HostGpu& gpu, const GpuNode& node)
{
    if (node.is_nvidia()) return gpu.driver == "nvidia";
    if (node.kind == NodeKind::kfd) return gpu.driver == "amdgpu";
    return is_the_hosts(gpu);
}

// The number of the GPU among its kind; nothing for nodes that a host has once.
std::optional<unsigned> rank_of(const GpuNode& node)
{
    if (node.kind == NodeKind::nvidia_gpu || node.kind == NodeKind::dri_card) return node.number;
    if (node.kind != NodeKind::dri_render || *node.number < first_render) return std::nullopt;
    return *node.number - first_render;
}

std::vector<unsigned> ranks_of(const HostGpu& gpu, const GpuNode& node)
{
    if (node.kind == NodeKind::dri_card) return gpu.cards;
    std::vector<unsigned> ranks;
    if (node.kind == NodeKind::nvidia_gpu && gpu.nvidia) ranks.push_back(*gpu.nvidia);
    for (const auto render : gpu.renders)
        if (node.kind == NodeKind::dri_render) ranks.push_back(render - first_render);
    return ranks;
}

// Drivers give each new GPU the lowest number that is free (nv_linux_add_device_locked of NVIDIA's driver,
// drm_minor_alloc of the kernel's).
bool can_come(const GpuNode& node, const Candidates& candidates)
{
    std::set<unsigned> used;
    std::size_t without_number = 0; // but with a driver, or one to be had
    bool served = false;
    for (const auto* gpu : candidates) {
        const auto ranks = ranks_of(*gpu, node);
        used.insert(ranks.begin(), ranks.end());
        const bool has_driver = serves(*gpu, node);
        served = served || has_driver;
        if (can_be_bound(gpu) || (has_driver && ranks.empty())) ++without_number;
    }
    const auto rank = rank_of(node);
    if (!rank) return served || without_number > 0;
    if (used.contains(*rank)) return true;
    const auto used_below = std::distance(used.begin(), used.lower_bound(*rank));
    const auto free_below = *rank - static_cast<std::size_t>(used_below);
    return free_below < without_number;
}

// A number that the host could not have even with every GPU is a wrong number, not a VM's fault. A card's
// number may be one higher: the firmware's framebuffer had the first at boot.
bool is_too_high(const GpuNode& node, std::size_t gpus)
{
    const auto rank = rank_of(node);
    return rank && *rank >= gpus + (node.kind == NodeKind::dri_card ? 1 : 0);
}

Candidates candidates_for(const GpuNode& node, const std::vector<HostGpu>& gpus)
{
    Candidates candidates;
    for (const auto& gpu : gpus)
        if (could_have(gpu, node)) candidates.push_back(&gpu);
    return candidates;
}

// Of a node below /dev/dri: nobody else has one to come, and NVIDIA's driver, which has its GPU, leaves such
// nodes to a module of its own.
bool needs_nvidia_drm(const Candidates& candidates)
{
    bool needed = false;
    for (const auto* gpu : candidates) {
        const bool without_nodes = gpu->cards.empty() && gpu->renders.empty();
        const bool nvidias = gpu->driver == "nvidia";
        if (without_nodes && !nvidias && (is_the_hosts(*gpu) || can_be_bound(gpu))) return false;
        needed = needed || (without_nodes && nvidias);
    }
    return needed;
}

constexpr auto take_the_line_out = "take the line out of the container";

// "the GPU '0000:03:00.0' is in use by VM 101 (pid 4711, kvm)"
std::string in_use(const HostGpu& gpu, const std::string& is)
{
    return "the GPU " + quote(gpu.address) + is + " in use by " + describe(gpu.holders.front());
}

// A second entry for one path keeps the container from starting (double_entries).
bool is_named(const std::string& path, const std::vector<WantedNode>& all)
{
    return std::ranges::any_of(all, [&](const WantedNode& one) {
        return one.node.path == path || one.in_guest == path ||
               (one.node.is_directory() && path.starts_with(one.node.path + "/"));
    });
}

std::string place_of(const HostGpu& gpu, const GpuNode& node)
{
    return "/dev/dri/by-path/pci-" + to_string(gpu.address) + (is_render(node) ? "-render" : "-card");
}

// Numbers change from boot to boot: the GPU that the container means may have another one now. Those of the
// kind that are there.
std::vector<std::string> like(const GpuNode& node, const Candidates& candidates)
{
    std::vector<std::string> there;
    for (const auto* gpu : candidates) {
        if (node.kind == NodeKind::dri_by_path && !(is_render(node) ? gpu->renders : gpu->cards).empty())
            there.push_back(place_of(*gpu, node));
        for (const auto& path : gpu->nodes())
            if (parse_gpu_node(path)->kind == node.kind) there.push_back(path);
    }
    return there;
}

std::vector<std::string> without_named(std::vector<std::string> paths, const std::vector<WantedNode>& all)
{
    std::erase_if(paths, [&](const auto& path) { return is_named(path, all); });
    return paths;
}

std::string quoted(const std::vector<std::string>& paths)
{
    return "'" + join(paths, "', '") + "'";
}

std::string instead_of(const std::vector<std::string>& there)
{
    if (there.empty()) return std::string("stop it first, or ") + take_the_line_out;
    return "write a device node that is there (" + quoted(there) + ") instead, or stop that first";
}

// Of a line that names what the host does not have.
std::string correction(const std::vector<std::string>& there, const std::vector<std::string>& unnamed)
{
    if (!unnamed.empty()) return "write " + quoted(unnamed) + ", which is there, instead";
    if (there.empty()) return "correct the line";
    return std::string(take_the_line_out) + ", which names " + quoted(there) + " already";
}

Advice other_driver(const GpuNode& node, const HostGpu& gpu)
{
    const auto driver = printable(gpu.driver);
    const auto fact = ": the GPU " + quote(gpu.address) + " has the driver '" + driver +
                      "', which makes no such device node";
    if (driver == "pci-stub")
        return {fact, "take its ids out of what 'pci-stub' is given at boot, and reboot"};
    if (node.is_nvidia())
        return {fact, "install NVIDIA's driver on the host, write 'blacklist " + driver +
                          "' into a file of /etc/modprobe.d, run 'update-initramfs -u' and reboot"};
    return {fact, std::string("give the GPU to 'amdgpu', or ") + take_the_line_out};
}

Obstacle never(const GpuNode& node, const Candidates& candidates, const std::vector<WantedNode>* all)
{
    const auto there = all == nullptr ? std::vector<std::string>() : like(node, candidates);
    auto unnamed = all == nullptr ? there : without_named(there, *all);
    Obstacle obstacle{{", and no GPU of this host can have it", correction(there, unnamed)}};
    obstacle.is_the_lines = true;
    obstacle.is_superfluous = unnamed.empty() && !there.empty();
    obstacle.instead = std::move(unnamed);
    return obstacle;
}

// `all` is nullptr where the container's other lines are not known.
std::optional<Obstacle> missing_because(const WantedNode& wanted, const std::vector<HostGpu>& gpus,
                                        const std::vector<WantedNode>* all)
{
    const auto& node = wanted.node;
    const auto candidates = candidates_for(node, gpus);
    if (can_come(node, candidates)) return std::nullopt;
    if (candidates.empty() && node.address) { // no GPU at that place: those at others
        Candidates every;
        for (const auto& gpu : gpus) every.push_back(&gpu);
        return never(node, every, all);
    }
    if (is_too_high(node, candidates.size())) return never(node, candidates, all);
    auto there = like(node, candidates);
    if (all != nullptr) there = without_named(std::move(there), *all);
    if (const auto* gpu = first_of(candidates, is_a_vms)) {
        if (std::ranges::all_of(candidates, is_a_vms))
            return Obstacle{
                {": " + in_use(*gpu, " is"), std::string("stop it first, or ") + take_the_line_out}, true};
        return Obstacle{{"; it may be a device node of " + in_use(*gpu, ", which is"), instead_of(there)}};
    }
    if (first_of(candidates, [](const HostGpu* gpu) { return gpu->on_vfio; }) != nullptr)
        return Obstacle{{": the GPU is on vfio-pci, where no container can use it",
                         "give it back to the host's driver, or let it be at boot"}};
    const auto makes_none = [&](const HostGpu* gpu) { return !gpu->driver.empty() && !serves(*gpu, node); };
    if (const auto* gpu = first_of(candidates, makes_none)) return Obstacle{other_driver(node, *gpu)};
    return never(node, candidates, all);
}

// The driver gives a capability to each MIG instance that there is; instances are gone with a reboot.
Obstacle instance_is_gone(const NodeHost& host, const std::vector<WantedNode>& all)
{
    std::vector<std::string> there;
    for (const auto& [number, file] : *host.capabilities)
        if (is_mig_access(file)) there.push_back("/dev/nvidia-caps/nvidia-cap" + std::to_string(number));
    auto unnamed = without_named(there, all);
    Obstacle obstacle{{": NVIDIA's driver has no MIG instance with it now (a reboot or 'nvidia-smi mig -dgi' "
                       "takes instances away)",
                       "make the instance again ('nvidia-smi mig -cgi ... -C'), or " +
                           (unnamed.empty() ? take_the_line_out : correction(there, unnamed))}};
    obstacle.is_the_lines = true;
    obstacle.instead = std::move(unnamed);
    return obstacle;
}

} // namespace

bool could_have(const HostGpu& gpu, const GpuNode& node)
{
    if (is_render(node) && !renders(gpu)) return false;
    if (node.address) return gpu.address == *node.address;
    if (node.is_nvidia()) return gpu.is_nvidia();
    return is_dri(node.kind) || gpu.is_amd();
}

std::optional<Obstacle> why_missing(const WantedNode& wanted, const std::vector<HostGpu>& gpus)
{
    return missing_because(wanted, gpus, nullptr);
}

std::optional<Obstacle> why_missing(const WantedNode& wanted, const NodeHost& host,
                                    const std::vector<WantedNode>& all)
{
    const auto& node = wanted.node;
    if (auto obstacle = missing_because(wanted, host.gpus, &all)) return obstacle;
    if (node.is_nvidia() && host.no_nvidia_module) {
        Obstacle obstacle{*host.no_nvidia_module};
        obstacle.is_the_hosts = true;
        return obstacle;
    }
    if (node.kind == NodeKind::nvidia_cap && host.capabilities && !host.capabilities->contains(*node.number))
        return instance_is_gone(host, all);
    return std::nullopt;
}

std::optional<Advice> no_maker(const GpuNode& node, const NodeHost& host)
{
    if (host.nvidia_modprobe || !node.is_nvidia() || !nvidia_modprobe_makes(node.kind)) return std::nullopt;
    return Advice{", and 'nvidia-modprobe', which makes it, is not installed",
                  "install 'nvidia-modprobe', or run 'nvidia-smi' once"};
}

bool is_served(const GpuNode& node, const NodeHost& host)
{
    return std::ranges::any_of(
        host.gpus, [&](const HostGpu& gpu) { return could_have(gpu, node) && serves(gpu, node); });
}

std::vector<std::string> drivers_to_load(const GpuNode& node, const std::vector<HostGpu>& gpus)
{
    std::vector<std::string> modules;
    const auto candidates = candidates_for(node, gpus);
    if (needs_nvidia_drm(candidates)) modules.emplace_back("nvidia-drm");
    for (const auto* gpu : candidates)
        if (can_be_bound(gpu) && !gpu->modalias.empty()) modules.push_back(gpu->modalias);
    return modules;
}

} // namespace pvegpu
