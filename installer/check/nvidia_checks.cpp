// What is special to NVIDIA's data centre cards, as far as it can be seen without their tools.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

constexpr std::uint16_t vendor_nvidia = 0x10de;

bool is_nvidia(const CheckFacts& facts, const CardFacts& one)
{
    return facts.gpu(one).vendor == vendor_nvidia;
}

// An NVSwitch is a bridge of class "other" (0x0680) by NVIDIA.
std::size_t count_switches(const CheckFacts& facts)
{
    const auto& all = facts.topology.functions;
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& entry) {
        return entry.second.vendor == vendor_nvidia && entry.second.class_code >> 8U == 0x0680;
    }));
}

bool is_large(const CheckFacts& facts, const CardFacts& one)
{
    const auto* bar = largest_memory_bar(facts.gpu(one));
    return one.passed() && is_nvidia(facts, one) && bar != nullptr && bar->size >= window_of_ovmf;
}

// What is certain of every such card; what is not, NVIDIA's own lists say.
Finding large_of(const CheckFacts& facts, const CardFacts& one, std::size_t count)
{
    const auto& bar = *largest_memory_bar(facts.gpu(one));
    const auto size = bytes_in_words(bar.size);
    const std::string nvlink =
        count > 1 ? "; for NVLink between several pass whole groups of them: nvidia-smi topo -m in the guest "
                    "shows what is connected"
                  : "";
    return about_card(one, Verdict::note,
                      file_of(one.gpu, "resource") + ": BAR " + std::to_string(bar.index) + " has " + size +
                          "; " + counted(count, "GPU") + " of this kind " + (count == 1 ? "is" : "are") +
                          " passed",
                      {"give it a window of " + size +
                       " at least: 'Above 4G Decoding' in the firmware's setup, OVMF and 'cpu: host' for the "
                       "guest" +
                       nvlink +
                       "; before you plan with vGPU or MIG, look the model up in NVIDIA's lists of GPUs that "
                       "its vGPU software and MIG support: not every model of this size is in them"});
}

} // namespace

// Proxmox compares a mapping's 'mdev' with what the device offers at that moment (Mapping/PCI.pm).
Findings nvidia_vgpu_host_driver(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        if (!one.passed() || !is_nvidia(facts, one)) continue;
        const auto& types = facts.state(one.gpu).vgpu_types;
        const bool loaded = facts.loaded_modules.contains("nvidia_vgpu_vfio");
        const bool bound = loaded && facts.gpu(one).driver == "nvidia";
        if (!types.empty() || bound)
            findings.push_back(about_card(one, Verdict::warning,
                                          (types.empty() ? file_of(one.gpu, "driver") + " leads to 'nvidia'"
                                                         : file_of(one.gpu, types) + " is there") +
                                              ": NVIDIA's vGPU host driver has a card that is passed whole",
                                          by_command("pve-gpu-install --vm " + vm_of(one),
                                                     "then reboot: vfio-pci has the card first", true)));
        else
            findings.push_back(about_card(
                one, Verdict::ok,
                file_of(one.gpu, "mdev_supported_types") +
                    " and nvidia/creatable_vgpu_types are absent, and NVIDIA's vGPU host driver is " +
                    (loaded ? "loaded, but has not this card" : "not loaded")));
    }
    return findings;
}

Findings nvidia_mig(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto instances = facts.mig_instances.find(one.gpu);
        if (instances == facts.mig_instances.end()) continue; // NVIDIA's driver does not have it
        const auto evidence = std::string(paths::nvidia_capabilities) + " has " +
                              counted(instances->second, "GPU instance") + " of it";
        if (!one.passed())
            findings.push_back(about_card(one, Verdict::ok, evidence));
        else if (instances->second == 0) // the mode can be on without any, and only NVIDIA's tool tells
            findings.push_back(about_card(one, Verdict::unknown,
                                          evidence + ", which does not say whether MIG mode is on",
                                          by_command("nvidia-smi -i " + to_string(one.gpu) +
                                                     " --query-gpu=mig.mode.current --format=csv")));
        else
            findings.push_back(
                about_card(one, Verdict::warning, evidence + ", and it is passed whole",
                           by_command("nvidia-smi -i " + to_string(one.gpu) + " -mig 0",
                                      "then reset the card: MIG mode outlives the driver, and NVLink "
                                      "is off in it")));
    }
    return findings;
}

Findings nvidia_large_memory(const CheckFacts& facts)
{
    const auto& cards = facts.cards;
    const auto count = static_cast<std::size_t>(
        std::count_if(cards.begin(), cards.end(), [&](const auto& one) { return is_large(facts, one); }));
    Findings findings;
    for (const auto& one : cards)
        if (is_large(facts, one)) findings.push_back(large_of(facts, one, count));
    return findings;
}

Findings nvidia_nvlink(const CheckFacts& facts)
{
    const auto switches = count_switches(facts);
    std::vector<unsigned> vmids;
    for (const auto& one : facts.cards)
        if (is_nvidia(facts, one)) vmids.insert(vmids.end(), one.vmids.begin(), one.vmids.end());
    if (switches == 0 || vmids.empty()) return {};
    return {
        about("host", vmids, Verdict::note,
              std::string(paths::pci_functions) + " has " + std::to_string(switches) + " NVSwitch" +
                  (switches == 1 ? "" : "es") + " (10de, class 0x0680)",
              {"pass GPUs in the partitions that NVIDIA's Fabric Manager knows (fmpm -l), with the manager "
               "running on the host or in a service VM; other sets run without NVLink"})};
}

} // namespace pvegpu
