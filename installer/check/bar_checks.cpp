// The card's memory as the host maps it: BARs, where they lie and how large they are.
#include "check/findings.hpp"

#include "base/lists.hpp"

namespace pvegpu {
namespace {

constexpr std::uint16_t vendor_amd = 0x1002, vendor_intel = 0x8086;

std::string bar_of(unsigned index)
{
    return "BAR " + std::to_string(index);
}

Findings bars_assigned(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& function = facts.function(gpu);
    if (!function.config || function.config->health != Health::alive) return {};
    const auto without = bars_without_room(function);
    if (without.empty()) return {{Verdict::ok, gpu.file("resource") + " has every BAR"}};
    const std::string setup =
        "turn 'Above 4G Decoding' on in the firmware's setup, update the firmware, and reboot";
    return {{Verdict::error, gpu.file("resource") + " has no room for " + without,
             gpu.card.port
                 ? try_for(facts, gpu,
                           "after a rescan the hook sizes the window anew; if that does not help, " + setup)
                 : Remedy{setup}}};
}

Findings bars_above_4g(const CheckFacts& facts, const GpuFacts& gpu)
{
    constexpr std::uint64_t four_gib = 4ULL << 30U;
    const auto* bar = largest_memory_bar(facts.function(gpu));
    if (!gpu.card.port || bar == nullptr || !bar->wide) return {};
    const bool above = bar->start >= four_gib;
    const auto evidence = gpu.file("resource") + ": " + bar_of(bar->index) + " (" +
                          bytes_in_words(bar->size) + ") lies " + (above ? "above" : "below") + " 4 GiB";
    if (above) return {{Verdict::ok, evidence}};
    return {{Verdict::note,
             evidence,
             {"turn 'Above 4G Decoding' on in the firmware's setup; without it large BARs find no room"}}};
}

Finding resizable_of(const CheckFacts& facts, const GpuFacts& gpu, unsigned index, std::uint64_t largest)
{
    const auto& function = facts.function(gpu);
    const auto* bar = find_by(function.bars, index, &Bar::index);
    const auto now = bar == nullptr ? 0 : bar->size;
    const auto evidence = bar_of(index) + " has " + bytes_in_words(now) + " of " + bytes_in_words(largest) +
                          " (" + gpu.file("resource" + std::to_string(index) + "_resize") + ")";
    if (now >= largest && function.vendor == vendor_amd)
        return {Verdict::note,
                evidence,
                {"only if a Windows guest has Code 43: turn 'Resizable BAR' ('Smart Access Memory') off in "
                 "the firmware's setup"},
                "some AMD cards give a Windows guest Code 43 with a large BAR"};
    if (now >= largest) return {Verdict::ok, evidence};
    const bool arc = function.vendor == vendor_intel;
    return {arc ? Verdict::warning : Verdict::note,
            evidence,
            {"turn 'Above 4G Decoding' and 'Resizable BAR' on in the firmware's setup"},
            arc ? "Arc cards are several times slower with a small BAR"
                : "some games and programs are faster where all of the card's memory can be reached at once"};
}

Findings bars_resizable(const CheckFacts& facts, const GpuFacts& gpu)
{
    Findings findings;
    const auto& state = facts.state(gpu.address);
    if (state.asleep)
        findings.push_back({Verdict::unknown,
                            "it sleeps, and reading " + gpu.file("resource*_resize") + " would wake it",
                            {"look while the guest runs"}});
    for (const auto& [index, largest] : state.largest_bar)
        findings.push_back(resizable_of(facts, gpu, index, largest));
    return findings;
}

bool addresses_enough(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto cpu = guest_cpu_of(guest.config.setting("cpu"), facts.cpu_models);
    return cpu.model == "host" || cpu.has_phys_bits ||
           guest.config.setting("args").find("X-PciMmio64Mb") != std::string::npos;
}

Findings bars_large_memory(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto* bar = largest_memory_bar(facts.function(gpu));
    if (bar == nullptr || bar->size < window_of_ovmf) return {};
    const auto evidence = gpu.file("resource") + ": the largest BAR has " + bytes_in_words(bar->size);
    for (const auto vmid : facts.meant(gpu.vmids)) {
        const auto& guest = *facts.survey.find(vmid); // it is passed the GPU
        if (guest.config.setting("bios") != "ovmf")
            return {{Verdict::warning, evidence + ", and " + guest.id.name() + " starts with SeaBIOS",
                     to_ovmf(guest)}};
        if (!addresses_enough(facts, guest))
            return {{Verdict::warning,
                     evidence + ", and " + guest.id.name() + " has 'cpu: " + guest.config.setting("cpu") +
                         "', which leaves OVMF a window of 32 GiB",
                     set(guest, "--cpu " + with_type(guest.config.setting("cpu"), "host"))}};
    }
    return {{Verdict::ok, evidence + ", and its guests can address it"}};
}

} // namespace

std::vector<Check> bar_checks()
{
    return {
        {"bars.assigned", "all of the card's memory has an address",
         "whether every BAR of the card has an address",
         "a card without its memory does not work in a guest, or keeps it from starting",
         each_passed_gpu<bars_assigned>},
        {"bars.above-4g", "the card's memory lies above 4 GiB", "where the card's largest BAR lies",
         "below 4 GiB there is room for small ones only", each_passed_gpu<bars_above_4g>},
        {"bars.resizable", "resizable BARs have the size that suits the card",
         "the size of resizable BARs against the largest that the card has",
         "Arc cards are slow with a small one; some AMD cards give Code 43 with a large one",
         each_passed_gpu<bars_resizable>},
        {"bars.large-memory", "the guest can address the card's memory",
         "cards whose memory is 32 GiB or more, against their guests",
         "the guest's firmware must be able to address all of it, or the card is not there",
         each_passed_gpu<bars_large_memory>},
    };
}

} // namespace pvegpu
