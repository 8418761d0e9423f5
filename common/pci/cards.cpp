#include "pci/cards.hpp"

#include "base/error.hpp"
#include "pci/device_table.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using Functions = std::vector<const Function*>;

// A virtual function is no part of a card: it comes and goes with its parent's driver, and may be another
// guest's.
std::vector<PciAddress> addresses(const Functions& functions, bool bridges)
{
    std::vector<PciAddress> result;
    for (const auto* function : functions)
        if (function->bridge == bridges && !function->virtual_function) result.push_back(function->address);
    return result;
}

// No bridge any more where the bus below it has just been removed.
bool is_pcie(const Function& bridge, PcieType type)
{
    return bridge.bridge && bridge.config && bridge.config->pcie == type;
}

// A switch belongs to the card when nothing is below its upstream port but this one GPU and companions, and
// when that port has no other function that is more than a companion.
bool holds_one_card_only(const Topology& topology, const Function& upstream, const Function& gpu)
{
    Functions there = topology.below(upstream);
    for (const auto* sibling : topology.on_slot_of(upstream)) {
        if (sibling->address != upstream.address) there.push_back(sibling);
    }
    return std::ranges::all_of(there, [&](const Function* function) {
        if (function->bridge) return is_pcie(*function, PcieType::switch_downstream);
        return function->address == gpu.address || function->virtual_function ||
               (is_companion(*function) && !is_gpu(*function));
    });
}

// The upstream port of the switch on the card; nothing if the card has none of its own.
const Function* switch_on_card(const Topology& topology, const Function& gpu, DeviceTraits::CardShape shape)
{
    if (shape == DeviceTraits::CardShape::one_slot) return nullptr;
    const auto* downstream = topology.bridge_above(gpu);
    if (downstream == nullptr || !is_pcie(*downstream, PcieType::switch_downstream)) return nullptr;
    const auto* upstream = topology.bridge_above(*downstream);
    const auto* port = upstream != nullptr ? topology.bridge_above(*upstream) : nullptr;
    if (port == nullptr || !port->bridge) return nullptr;
    return holds_one_card_only(topology, *upstream, gpu) ? upstream : nullptr;
}

Card left_alone(const Topology& topology, const Function& gpu, Advice because)
{
    Card card;
    card.functions =
        gpu.virtual_function ? std::vector{gpu.address} : addresses(topology.on_slot_of(gpu), false);
    card.left_alone_because = std::move(because.fact);
    card.instead = std::move(because.remedy);
    return card;
}

// 780M: gnif/vendor-reset #82; Raphael: isc30/ryzen-gpu-passthrough-proxmox #135; Strix Halo:
// Uhh-IDontKnow/Proxmox_AMD_AI_Max_395_Radeon_8060s_GPU_Passthrough #3. That a hard stop undoes the cure is
// in the README of RadeonResetBugFix.
std::string cure_of_integrated(const Function& gpu)
{
    constexpr std::uint16_t amd = 0x1002;
    if (gpu.vendor != amd)
        return "if the guest gets no picture at its second start, only a reboot of the host helps";
    return "AMD's need the guest's driver stopped before each shutdown, else the next start may give no "
           "picture "
           "until the host is rebooted; on Windows the service 'RadeonResetBugFix' does it "
           "(github.com/inga-lovinde/RadeonResetBugFix); shut the guest down, do not stop it hard";
}

// No fact where it can be reset as far as its place goes.
Advice why_not_by_its_place(const Topology& topology, const Function& gpu, DeviceTraits::CardShape shape)
{
    if (gpu.virtual_function) // has one by the SR-IOV chapter of the PCI Express Base Specification
        return {"it is a virtual function, which its parent's driver resets",
                "nothing is missing: a virtual function has a reset of its own (FLR)"};
    if (gpu.behind_nested_host_bridge)
        return {
            "it is in a VMD domain, whose bus the kernel cannot rescan safely",
            "turn 'VMD' off in the firmware's setup for the card's slot; the hook can then reset the card"};
    if (shape == DeviceTraits::CardShape::integrated)
        return {"it is integrated into the processor", cure_of_integrated(gpu)};
    const auto* port = topology.bridge_above(gpu);
    if (port == nullptr)
        return {"it is integrated: there is no port above it that could be reset", cure_of_integrated(gpu)};
    if (!port->config)
        return {"the bridge above it, " + quote(port->address) + ", does not answer",
                "see 'kernel.stuck' in 'pve-gpu-install check'"};
    if (!is_pcie(*port, PcieType::root_port) && !is_pcie(*port, PcieType::switch_downstream))
        return {"the bridge above it, " + quote(port->address) + ", is not a PCI Express port",
                "if the guest gets no picture at its second start, only a reboot of the host helps"};
    return {};
}

Card card_below(const Topology& topology, const Function& gpu, const Function* upstream)
{
    const auto& port = *topology.bridge_above(upstream != nullptr ? *upstream : gpu);
    Card card;
    card.port = port.address;
    const auto everything = topology.below(port);
    card.functions = addresses(everything, false);
    card.switches = addresses(everything, true);
    card.top = upstream != nullptr ? addresses(topology.on_slot_of(*upstream), true) : card.functions;
    if (upstream != nullptr) append(card.top, addresses(topology.on_slot_of(*upstream), false));
    return card;
}

// What shares the port and is neither GPU nor companion: an APU's security processor, a disk.
const Function* stranger_on(const Topology& topology, const Card& card)
{
    for (const auto& address : card.functions)
        if (role_of(topology.at(address)) == Role::neighbour) return &topology.at(address);
    return nullptr;
}

Card card_of(const Topology& topology, const Function& gpu)
{
    const auto shape = device_traits(gpu).shape;
    if (auto why = why_not_by_its_place(topology, gpu, shape); !why.fact.empty())
        return left_alone(topology, gpu, std::move(why));
    Card card = card_below(topology, gpu, switch_on_card(topology, gpu, shape));
    if (const auto* stranger = stranger_on(topology, card))
        return left_alone(
            topology, gpu,
            {"its port also carries " + quote(stranger->address) + ", which is no part of a graphics card",
             cure_of_integrated(gpu)});
    return card;
}

} // namespace

Role role_of(const Function& function)
{
    if (is_gpu(function)) return Role::gpu;
    return is_companion(function) ? Role::companion : Role::neighbour;
}

std::vector<Card> find_cards(const Topology& topology, const std::vector<PciAddress>& gpus)
{
    std::vector<Card> cards;
    for (const auto& address : gpus) {
        const auto* gpu = topology.find(address);
        if (gpu == nullptr || !is_gpu(*gpu)) continue;
        const bool known = std::ranges::any_of(cards, [&](const Card& card) { return card.has(address); });
        if (!known) cards.push_back(card_of(topology, *gpu));
    }
    return cards;
}

} // namespace pvegpu
