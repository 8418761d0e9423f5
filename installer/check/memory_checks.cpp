// The card's memory as the host maps it: BARs, where they lie and how large they are.
#include "check/check_families.hpp"
#include "check/opinions.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

constexpr std::uint64_t four_gib = 4ULL << 30U;

constexpr std::uint16_t vendor_amd = 0x1002, vendor_intel = 0x8086;

std::string bar_of(unsigned index)
{
    return "BAR " + std::to_string(index);
}

Finding resizable_of(const CheckFacts& facts, const CardFacts& one, unsigned index, std::uint64_t largest)
{
    const auto& bars = facts.gpu(one).bars;
    const auto bar =
        std::find_if(bars.begin(), bars.end(), [&](const Bar& each) { return each.index == index; });
    const auto now = bar == bars.end() ? 0 : bar->size;
    const auto evidence = bar_of(index) + " has " + bytes_in_words(now) + " of " + bytes_in_words(largest) +
                          " (" + file_of(one.gpu, "resource" + std::to_string(index) + "_resize") + ")";
    if (now >= largest && facts.gpu(one).vendor == vendor_amd)
        return about_card(
            one, Verdict::note, evidence,
            {"only if a Windows guest has Code 43: turn 'Resizable BAR' ('Smart Access Memory') off "
             "in the firmware's setup"});
    if (now >= largest) return about_card(one, Verdict::ok, evidence);
    const bool arc = facts.gpu(one).vendor == vendor_intel; // Arc is several times slower without
    return about_card(one, arc ? Verdict::warning : Verdict::note, evidence,
                      {"turn 'Above 4G Decoding' and 'Resizable BAR' on in the firmware's setup"});
}

bool addresses_enough(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto cpu = guest_cpu_of(guest.config.setting("cpu"), facts.cpu_models);
    return cpu.model == "host" || cpu.has_phys_bits ||
           guest.config.setting("args").find("X-PciMmio64Mb") != std::string::npos;
}

Finding large_bar_of(const CheckFacts& facts, const CardFacts& one, std::uint64_t size)
{
    const auto evidence = file_of(one.gpu, "resource") + ": the largest BAR has " + bytes_in_words(size);
    for (const auto vmid : one.vmids) {
        const auto* guest = facts.survey.find(vmid);
        if (guest == nullptr) continue;
        if (guest->config.setting("bios") != "ovmf")
            return about_card(one, Verdict::warning,
                              evidence + ", and VM " + std::to_string(vmid) + " starts with SeaBIOS",
                              set(*guest, "--bios ovmf"));
        if (!addresses_enough(facts, *guest))
            return about_card(one, Verdict::warning,
                              evidence + ", and VM " + std::to_string(vmid) + " has 'cpu: " +
                                  guest->config.setting("cpu") + "', which leaves OVMF a window of 32 GiB",
                              set(*guest, "--cpu host"));
    }
    return about_card(one, Verdict::ok, evidence + ", and its guests can address it");
}

} // namespace

Findings bars_assigned(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto& gpu = facts.gpu(one);
        if (!one.passed() || !gpu.config || gpu.config->health != Health::alive) continue;
        const auto without = bars_without_room(gpu);
        findings.push_back(
            without.empty()
                ? about_card(one, Verdict::ok, file_of(one.gpu, "resource") + " has every BAR")
                : about_card(
                      one, Verdict::error, file_of(one.gpu, "resource") + " has no room for " + without,
                      by_command("pve-gpu-install try --vm " + vm_of(one),
                                 "after a rescan the hook sizes the window anew; if that does not help, turn "
                                 "'Above 4G Decoding' on in the firmware's setup, update the firmware, and "
                                 "reboot")));
    }
    return findings;
}

Findings bars_above_4g(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto* bar = largest_memory_bar(facts.gpu(one));
        if (!one.passed() || !one.card.port || bar == nullptr || !bar->wide) continue;
        const auto evidence = file_of(one.gpu, "resource") + ": " + bar_of(bar->index) + " (" +
                              bytes_in_words(bar->size) + ") lies " +
                              (bar->start >= four_gib ? "above" : "below") + " 4 GiB";
        findings.push_back(
            bar->start >= four_gib
                ? about_card(one, Verdict::ok, evidence)
                : about_card(one, Verdict::note, evidence,
                             {"turn 'Above 4G Decoding' on in the firmware's setup; without it "
                              "large BARs find no room"}));
    }
    return findings;
}

Findings bars_resizable(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        if (!one.passed()) continue;
        const auto& state = facts.state(one.gpu);
        if (state.asleep)
            findings.push_back(about_card(one, Verdict::unknown,
                                          "it sleeps, and reading " + file_of(one.gpu, "resource*_resize") +
                                              " would wake it",
                                          {"look while the guest runs"}));
        for (const auto& [index, largest] : state.largest_bar)
            findings.push_back(resizable_of(facts, one, index, largest));
    }
    return findings;
}

Findings bars_large_memory(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto* bar = largest_memory_bar(facts.gpu(one));
        if (one.passed() && bar != nullptr && bar->size >= window_of_ovmf)
            findings.push_back(large_bar_of(facts, one, bar->size));
    }
    return findings;
}

} // namespace pvegpu
