// The card itself: does it answer, can it be reset, how is its link.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "machine/paths.hpp"
#include "pci/device_table.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

DeviceTraits traits_of(const CheckFacts& facts, const CardFacts& one)
{
    return device_traits(facts.gpu(one).vendor, facts.gpu(one).device);
}

// One finding for each card that a guest is passed.
template <typename Look> Findings of_passed_cards(const CheckFacts& facts, Look look)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (one.passed()) findings.push_back(look(one));
    return findings;
}

Fix wake(const PciAddress& address)
{
    return by_command("echo on > " + file_of(address, "power/control"),
                      "then run this again; or look while the guest runs");
}

bool has_hook(const CheckFacts& facts, const CardFacts& one)
{
    return std::all_of(one.vmids.begin(), one.vmids.end(), [&](unsigned vmid) {
        const auto* guest = facts.survey.find(vmid);
        return guest != nullptr && guest->attached;
    });
}

bool offers(const Function& function, std::string_view method)
{
    const auto& methods = function.reset_methods;
    return std::find(methods.begin(), methods.end(), method) != methods.end();
}

Fix attach(const CardFacts& one)
{
    return by_command("pve-gpu-install --vm " + vm_of(one), "the hook resets the whole card from its port",
                      true);
}

Finding alive(const CheckFacts& facts, const CardFacts& one)
{
    const auto& config = facts.gpu(one).config;
    const auto file = file_of(one.gpu, "config");
    if (facts.state(one.gpu).asleep)
        return about_card(one, Verdict::unknown, "it sleeps, and reading " + file + " would wake it",
                          wake(one.gpu));
    if (!config)
        return about_card(one, Verdict::error, file + " cannot be read in time",
                          {"stop the guest; see 'kernel.stuck'; if nothing frees it, reboot the host"});
    if (config->health == Health::alive) return about_card(one, Verdict::ok, file + " answers");
    return about_card(
        one, Verdict::error,
        file + (config->health == Health::dead ? " reads all ones" : " answers 'not ready'"),
        by_command("pve-gpu-install try --vm " + vm_of(one),
                   "if it stays so, switch the host's power off and on: a reboot is not enough"));
}

// An idle card may sleep so deep, a laptop's always does. What matters is that it wakes for its guest: the
// hook sees to that, and without it nothing does.
Finding power(const CheckFacts& facts, const CardFacts& one)
{
    const auto& state = facts.state(one.gpu);
    const auto evidence = file_of(one.gpu, "power_state") + " is " + quote(state.power_state);
    if (state.power_state.empty())
        return about_card(one, Verdict::unknown, file_of(one.gpu, "power_state") + " is absent");
    if (state.power_state != "D3cold") return about_card(one, Verdict::ok, evidence);
    if (has_hook(facts, one))
        return about_card(one, Verdict::ok, evidence + ", and the hook wakes it before each start");
    return about_card(one, one.running ? Verdict::warning : Verdict::note, evidence,
                      by_command("echo 0 > " + file_of(one.gpu, "d3cold_allowed") + "; echo on > " +
                                     file_of(one.gpu, "power/control"),
                                 "and the same for the bridges above; the hook does it before each start",
                                 true));
}

// QEMU and vfio-pci choose FLR first where the kernel offers it (drivers/pci/pci.c, pci_reset_fn_methods).
Finding reset(const CheckFacts& facts, const CardFacts& one)
{
    const auto& gpu = facts.gpu(one);
    const auto file = file_of(one.gpu, "reset_method");
    const auto evidence =
        gpu.reset_methods.empty() ? file + " is absent" : file + " is " + quote(join(gpu.reset_methods, " "));
    if (gpu.flr() && traits_of(facts, one).flr == DeviceTraits::Flr::harmful) {
        const auto harm = evidence + ", and this model does not come back from 'flr'";
        if (has_hook(facts, one))
            return about_card(one, Verdict::ok, harm + "; the hook sees to it that no start uses it");
        return about_card(one, Verdict::warning, harm, attach(one));
    }
    if (gpu.flr()) return about_card(one, Verdict::ok, evidence);
    if (!one.card.port)
        return about_card(one, Verdict::note,
                          evidence +
                              ", and its card has no port to be reset from: " + one.card.left_alone_because);
    if (has_hook(facts, one)) return about_card(one, Verdict::ok, evidence + ", and the hook is attached");
    return about_card(one, Verdict::warning,
                      evidence + ": no reset of its own (FLR), and no hook is attached", attach(one));
}

Finding known(const CheckFacts& facts, const CardFacts& one)
{
    const auto traits = traits_of(facts, one);
    if (!traits.name.empty())
        return about_card(one, Verdict::ok,
                          file_of(one.gpu, "{vendor,device}") + ": " + device_id(facts.gpu(one)) +
                              ", which is in the device table: " + traits.name);
    return about_card(one, Verdict::note,
                      file_of(one.gpu, "{vendor,device}") + ": " + device_id(facts.gpu(one)) +
                          ", which is not in the device table",
                      by_command("pve-gpu-install try --vm " + vm_of(one),
                                 "with the VM stopped this shows whether its reset works"));
}

std::string width_of(unsigned lanes)
{
    return "x" + std::to_string(lanes);
}

// Behind a switch on the card the endpoints always report 2.5 GT/s x1, so only the link of the card's top
// counts. An idle card lowers its speed, so a low speed alone is no fault.
Finding link(const CheckFacts& facts, const CardFacts& one)
{
    const auto& port = facts.state(*one.card.port);
    const auto& top = facts.state(one.card.top.front());
    if (port.width == 0 || port.max_width == 0 || top.max_width == 0)
        return about_card(
            one, Verdict::unknown,
            file_of(*one.card.port, "current_link_width") +
                (port.asleep || top.asleep ? " is not read: it would wake the card" : " says nothing"),
            port.asleep || top.asleep
                ? wake(one.gpu)
                : by_command("lspci -vv -s " + to_string(*one.card.port) + " | grep -E 'LnkCap|LnkSta'"));
    const auto best = std::min(port.max_width, top.max_width);
    const auto evidence = file_of(*one.card.port, "current_link_width") + " is " +
                          std::to_string(port.width) + " at " + port.speed + "; slot " +
                          width_of(port.max_width) + ", card " + width_of(top.max_width);
    if (port.width >= best) return about_card(one, Verdict::ok, evidence);
    return about_card(one, Verdict::warning, evidence + ", so " + width_of(best) + " is possible",
                      {"switch the host's power off and on; if it stays, reseat the card and look in the "
                       "firmware's setup at the slot's 'bifurcation' and shared lanes"});
}

AerCounts errors_of_card(const CheckFacts& facts, const CardFacts& one, bool& any)
{
    auto addresses = one.card.functions;
    addresses.insert(addresses.end(), one.card.switches.begin(), one.card.switches.end());
    if (one.card.port) addresses.push_back(*one.card.port);
    AerCounts sum;
    for (const auto& address : addresses)
        if (const auto& errors = facts.state(address).errors) {
            any = true;
            sum.fatal += errors->fatal;
            sum.nonfatal += errors->nonfatal;
            sum.correctable += errors->correctable;
        }
    return sum;
}

Finding errors(const CheckFacts& facts, const CardFacts& one)
{
    bool any = false;
    const auto sum = errors_of_card(facts, one, any);
    const auto absent = file_of(one.gpu, "aer_dev_fatal") + " is absent";
    if (!any && !one.card.port) // of a processor's own GPU, or a virtual function
        return about_card(one, Verdict::ok, absent + ": it has no error counters");
    if (!any) return about_card(one, Verdict::unknown, absent, by_command("journalctl -k | grep AER"));
    const auto evidence = file_of(one.gpu, "aer_dev_*") +
                          ", with those of all of the card and its port: " + std::to_string(sum.fatal) +
                          " fatal, " + std::to_string(sum.nonfatal) + " nonfatal, " +
                          std::to_string(sum.correctable) + " corrected";
    if (sum.fatal == 0 && sum.nonfatal == 0) return about_card(one, Verdict::ok, evidence);
    return about_card(
        one, sum.fatal != 0 ? Verdict::warning : Verdict::note, evidence,
        {"reseat the card, try it without a riser, set a lower PCIe generation for the slot in the "
         "firmware's setup"});
}

Finding module_of(const CheckFacts& facts, const CardFacts& one, const std::string& module)
{
    const auto file = file_of(one.gpu, "reset_method");
    if (!facts.loaded_modules.contains("vendor_reset"))
        return about_card(one, Verdict::warning,
                          paths::join(paths::modules, "vendor_reset") + " is absent: the module " +
                              quote(module) + ", which can reset this card, is not loaded",
                          by_command("echo " + module + " >> " + std::string(paths::modules_file),
                                     "after " + quote(module) + " is installed with DKMS; then reboot"));
    if (!offers(facts.gpu(one), "device_specific"))
        return about_card(
            one, Verdict::warning,
            quote(module) + " is loaded, but " + file + " is " +
                quote(join(facts.gpu(one).reset_methods, " ")),
            by_command("echo device_specific > " + file, "in a udev rule, before the card's first reset"));
    return about_card(one, Verdict::ok, quote(module) + " is loaded, and " + file + " has 'device_specific'");
}

} // namespace

Findings card_alive(const CheckFacts& facts)
{
    return of_passed_cards(facts, [&](const CardFacts& one) { return alive(facts, one); });
}

Findings card_power(const CheckFacts& facts)
{
    return of_passed_cards(facts, [&](const CardFacts& one) { return power(facts, one); });
}

Findings card_reset(const CheckFacts& facts)
{
    return of_passed_cards(facts, [&](const CardFacts& one) { return reset(facts, one); });
}

Findings card_known(const CheckFacts& facts)
{
    return of_passed_cards(facts, [&](const CardFacts& one) { return known(facts, one); });
}

Findings card_link(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (one.passed() && one.card.port && !one.card.top.empty()) findings.push_back(link(facts, one));
    return findings;
}

Findings card_errors(const CheckFacts& facts)
{
    return of_passed_cards(facts, [&](const CardFacts& one) { return errors(facts, one); });
}

Findings reset_module(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (const auto module = traits_of(facts, one).reset_module; one.passed() && !module.empty())
            findings.push_back(module_of(facts, one, module));
    if (findings.empty() && facts.loaded_modules.contains("vendor_reset"))
        findings.push_back(
            about_host(Verdict::note,
                       paths::join(paths::modules, "vendor_reset") + " is there, and no passed card needs it",
                       {"take 'vendor-reset' out of " + std::string(paths::modules_file)}));
    return findings;
}

} // namespace pvegpu
