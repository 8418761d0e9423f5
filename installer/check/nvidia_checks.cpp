// What is special to NVIDIA's data centre cards, as far as it can be seen without their tools.
#include "check/findings.hpp"

#include "base/lists.hpp"

namespace pvegpu {
namespace {

constexpr std::uint16_t vendor_nvidia = 0x10de;

bool is_nvidia(const CheckFacts& facts, const GpuFacts& gpu)
{
    return facts.function(gpu).vendor == vendor_nvidia;
}

// Proxmox compares a mapping's 'mdev' with what the device offers at that moment (Mapping/PCI.pm).
Findings nvidia_vgpu_host_driver(const CheckFacts& facts, const GpuFacts& gpu)
{
    if (!is_nvidia(facts, gpu)) return {};
    const auto& types = facts.state(gpu.address).vgpu_types;
    const bool loaded = facts.loaded_modules.contains("nvidia_vgpu_vfio");
    const bool bound = loaded && facts.function(gpu).driver == "nvidia";
    if (types.empty() && !bound)
        return {
            {Verdict::ok, gpu.file("mdev_supported_types") +
                              " and nvidia/creatable_vgpu_types are absent, and NVIDIA's vGPU host driver "
                              "is " +
                              (loaded ? "loaded, but has not this card" : "not loaded")}};
    return {{Verdict::warning,
             (types.empty() ? gpu.file("driver") + " leads to 'nvidia'" : gpu.file(types) + " is there") +
                 ": NVIDIA's vGPU host driver has a card that is passed without 'mdev'",
             by_command(install_for(facts, gpu.vmids), "then reboot: vfio-pci has the card first", true)}};
}

Findings mig_of(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto instances = facts.mig_instances.find(gpu.address);
    if (instances == facts.mig_instances.end()) return {}; // NVIDIA's driver does not have it
    const auto evidence = std::string(paths::nvidia_capabilities) + " has " +
                          counted(instances->second, "GPU instance") + " of it";
    const auto tool = "nvidia-smi -i " + to_string(gpu.address);
    if (!gpu.passed()) return {{Verdict::ok, evidence}};
    if (instances->second == 0) // the mode can be on without any, and only NVIDIA's tool tells
        return {{Verdict::unknown, evidence + ", which does not say whether MIG mode is on",
                 by_command(tool + " --query-gpu=mig.mode.current --format=csv")}};
    return {{Verdict::warning, evidence + ", and a VM is passed all of it",
             by_command(tool + " -mig 0",
                        "then reset the card: MIG mode outlives the driver, and NVLink is off in it")}};
}

Findings nvidia_mig(const CheckFacts& facts)
{
    return about_each<mig_of>(facts, facts.gpus, [](const GpuFacts&) { return true; });
}

// An NVSwitch is a bridge of class "other" (0x0680) by NVIDIA.
Findings nvidia_nvlink(const CheckFacts& facts)
{
    const auto switches = std::ranges::count_if(facts.topology.functions, [](const auto& entry) {
        return entry.second.vendor == vendor_nvidia && entry.second.class_code >> 8U == 0x0680;
    });
    std::vector<unsigned> vmids;
    for (const auto& gpu : facts.gpus)
        if (is_nvidia(facts, gpu)) append(vmids, gpu.vmids);
    if (switches == 0 || vmids.empty()) return {};
    Finding finding{
        Verdict::note,
        std::string(paths::pci_functions) + " has " + std::to_string(switches) + " NVSwitch" +
            (switches == 1 ? "" : "es") + " (10de, class 0x0680)",
        {"pass GPUs in the partitions that NVIDIA's Fabric Manager knows (fmpm -l), with the manager "
         "running on the host or in a service VM; other sets run without NVLink"}};
    finding.guests = vmids;
    return {finding};
}

bool is_large(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto* bar = largest_memory_bar(facts.function(gpu));
    return gpu.passed() && is_nvidia(facts, gpu) && bar != nullptr && bar->size >= window_of_ovmf;
}

// What is certain of every such card; what is not, NVIDIA's own lists say.
Findings nvidia_large_memory(const CheckFacts& facts, const GpuFacts& gpu)
{
    if (!is_large(facts, gpu)) return {};
    const auto count = static_cast<std::size_t>(
        std::ranges::count_if(facts.gpus, [&](const GpuFacts& other) { return is_large(facts, other); }));
    const auto& bar = *largest_memory_bar(facts.function(gpu));
    const auto size = bytes_in_words(bar.size);
    const std::string nvlink =
        count > 1 ? "; for NVLink between several pass whole groups of them: nvidia-smi topo -m in the guest "
                    "shows what is connected"
                  : "";
    return {{Verdict::note,
             gpu.file("resource") + ": BAR " + std::to_string(bar.index) + " has " + size + "; " +
                 counted(count, "GPU") + " of this kind " + (count == 1 ? "is" : "are") + " passed",
             {"give it a window of " + size +
              " at least: 'Above 4G Decoding' in the firmware's setup, OVMF and 'cpu: host' for the guest" +
              nvlink +
              "; before you plan with vGPU or MIG, look the model up in NVIDIA's lists of GPUs that its vGPU "
              "software and MIG support: not every model of this size is in them"}}};
}

} // namespace

std::vector<Check> nvidia_checks()
{
    return {
        {"nvidia.vgpu-host-driver", "NVIDIA's vGPU driver leaves the card alone",
         "mdev_supported_types, and creatable_vgpu_types from Linux 6.8 on, of NVIDIA cards that are passed "
         "without 'mdev'",
         "the vGPU driver does not let go, and a mapping without 'mdev' does not match meanwhile",
         each_passed_gpu<nvidia_vgpu_host_driver>},
        {"nvidia.mig", "MIG mode is off on passed cards", "GPU instances in /proc/driver/nvidia/capabilities",
         "MIG mode stays on in the guest, and switches NVLink off", nvidia_mig},
        {"nvidia.nvlink", "NVLink is split between guests as it can be", "NVSwitches beside passed cards",
         "NVLink works only between GPUs that the Fabric Manager puts into one partition", nvidia_nvlink},
        {"nvidia.large-memory", "the guest can address the GPU's memory",
         "passed GPUs of NVIDIA whose largest BAR has 32 GiB or more",
         "whether such a card can do vGPU or MIG too depends on its model, driver and licence, and nothing "
         "on the "
         "host says it",
         each_passed_gpu<nvidia_large_memory>},
    };
}

} // namespace pvegpu
