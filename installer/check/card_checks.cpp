// The card itself: does it answer, can it be reset, how is its link.
#include "base/lists.hpp"
#include "check/findings.hpp"
#include "pci/device_table.hpp"
#include "recovery/card_steps.hpp"
#include "recovery/vm_facts.hpp"

namespace pvegpu {
namespace {

DeviceTraits traits_of(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& function = facts.function(gpu);
    return device_traits(function.vendor, function.device);
}

Remedy wake(const GpuFacts& gpu)
{
    return by_command("echo on > " + gpu.file("power/control"),
                      "then run this again; or look while the guest runs");
}

Remedy attach_hook(const CheckFacts& facts, const GpuFacts& gpu, const std::string& words)
{
    return by_command(install_for(facts, gpu.vmids), words, true);
}

bool has_hook(const CheckFacts& facts, const GpuFacts& gpu)
{
    return std::ranges::all_of(facts.meant(gpu.vmids), [&](unsigned vmid) { return facts.has_hook(vmid); });
}

// What the hook's own plan of a start does about a reset of the card, while nobody uses it.
struct PlannedReset {
    bool cycled = false;
    std::optional<ResetBy> by; // nothing: the card is taken off the bus and found again, no more
    Advice why_none;
};

// The devices as they would be for a start with this GPU: of a mapping's alternatives the one that has it.
std::vector<PassedDevice> devices_with(const CheckFacts& facts, const SurveyedGuest& guest,
                                       const PciAddress& gpu)
{
    auto devices = devices_of(facts, guest);
    for (auto& device : devices)
        for (std::size_t i = 0; i < device.alternatives.size(); ++i)
            if (contains(device.alternatives[i].functions, gpu)) device.chosen = i;
    return devices;
}

PlannedReset planned_reset(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto vmid = facts.advised(gpu.vmids).value(); // it is passed
    VmFacts vm_facts;
    vm_facts.request = {vmid, Phase::pre_start, ""};
    vm_facts.devices = devices_with(facts, *facts.survey.find(vmid), gpu.address);
    vm_facts.topology = facts.topology;
    vm_facts.cards = {gpu.card};
    vm_facts.config_space_writable = !facts.host.lockdown.value_or(false);
    const auto plan = make_plan(vm_facts, facts.settings);
    const auto& card = plan.cards.front();
    // What it would do is asked, not what keeps it from a start today: other findings tell of that.
    PlannedReset planned{card.is_cycled() || plan.refused, std::nullopt, {}};
    if (!planned.cycled) return planned;
    const auto steps = steps_for(card, vm_facts);
    for (const auto& step : steps.first)
        if (const auto* reset = std::get_if<Reset>(&step)) planned.by = reset->by;
    if (!steps.warnings.empty()) planned.why_none = steps.warnings.front();
    return planned;
}

Finding card_alive(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& config = facts.function(gpu).config;
    const auto file = gpu.file("config");
    if (facts.state(gpu.address).asleep)
        return {Verdict::unknown, "it sleeps, and reading " + file + " would wake it", wake(gpu)};
    if (!config)
        return {Verdict::error,
                file + " cannot be read in time",
                {"stop the guest; see 'kernel.stuck'; if nothing frees it, reboot the host"}};
    if (config->health == Health::alive) return {Verdict::ok, file + " answers"};
    const std::string last = "switch the host's power off and on: a reboot is not enough";
    return {Verdict::error,
            file + (config->health == Health::dead ? " reads all ones" : " answers 'not ready'"),
            gpu.card.port && !is_of_templates(facts, gpu) ? try_for(facts, gpu, "if it stays so, " + last)
                                                          : Remedy{last}};
}

// An idle card may sleep so deep, a laptop's always does. What matters is that it wakes for its guest: the
// hook sees to that, and without it nothing does.
Finding card_power(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& state = facts.state(gpu.address).power_state;
    const auto evidence = gpu.file("power_state") + " is " + quote(state);
    if (state.empty()) return {Verdict::unknown, gpu.file("power_state") + " is absent"};
    if (state != "D3cold") return {Verdict::ok, evidence};
    if (has_hook(facts, gpu)) return {Verdict::ok, evidence + ", and the hook wakes it before each start"};
    return {gpu.running ? Verdict::warning : Verdict::note, evidence,
            by_command("echo 0 > " + gpu.file("d3cold_allowed") + "; echo on > " + gpu.file("power/control"),
                       "and the same for the bridges above; the hook does it before each start", true)};
}

// Of a card without a reset of its own.
Finding reset_by_hook(const CheckFacts& facts, const GpuFacts& gpu, const std::string& evidence)
{
    const auto planned = planned_reset(facts, gpu);
    const bool attached = has_hook(facts, gpu);
    if (!planned.cycled)
        return {attached ? Verdict::note : Verdict::warning,
                evidence + ": no reset of its own (FLR), and the hook leaves this card as it is",
                {"set 'strategy' to 'cycle' for it in " + std::string(paths::settings)}};
    const std::string how =
        planned.by == ResetBy::function ? "by its own 'device_specific'" : "from its port";
    if (planned.by && attached) return {Verdict::ok, evidence + ", and the hook resets the card " + how};
    if (planned.by)
        return {Verdict::warning, evidence + ": no reset of its own (FLR), and no hook is attached",
                attach_hook(facts, gpu, "the hook resets the whole card " + how)};
    const auto module = traits_of(facts, gpu).reset_module;
    const auto& [why, remedy] = planned.why_none;
    Finding finding{Verdict::warning,
                    evidence + ": no reset of its own (FLR), and the hook has none: " + why};
    finding.why = "what is not reset is dirty after its guest stops: taking it off the bus and finding it "
                  "again may help, or not";
    if (!module.empty()) { // that is then the finding that matters
        finding.verdict = Verdict::note;
        finding.remedy.words = "see 'reset.module': " + quote(module) + " can reset it";
    } else if (!attached) {
        finding.remedy = attach_hook(facts, gpu,
                                     "the hook takes the card off the bus and finds it again, which is not a "
                                     "reset" +
                                         (remedy.empty() ? "" : "; " + remedy));
    } else {
        finding.remedy.words = remedy.empty() ? "if the guest gets no picture at its second start, reboot "
                                                "the host; a card with FLR does not need that"
                                              : remedy;
    }
    return finding;
}

// QEMU and vfio-pci choose FLR first where the kernel offers it (drivers/pci/pci.c, pci_reset_fn_methods).
Finding card_reset(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& function = facts.function(gpu);
    const auto file = gpu.file("reset_method");
    const auto evidence = function.reset_methods.empty()
                              ? file + " is absent"
                              : file + " is " + quote(join(function.reset_methods, " "));
    if (is_of_templates(facts, gpu))
        return {Verdict::ok, evidence + "; the hook is for the template's clones, which can start"};
    if (function.flr() && traits_of(facts, gpu).flr == DeviceTraits::Flr::harmful) {
        const auto harm = evidence + ", and this model does not come back from 'flr'";
        if (has_hook(facts, gpu)) return {Verdict::ok, harm + "; the hook sees to it that no start uses it"};
        return {Verdict::warning, harm, attach_hook(facts, gpu, "the hook sees to it that no start uses it"),
                "Proxmox and QEMU use it at each start, and the card then answers nobody"};
    }
    if (function.flr()) return {Verdict::ok, evidence};
    if (!gpu.card.port)
        return {function.virtual_function ? Verdict::ok : Verdict::warning,
                evidence + ", and the hook does not reset it: " + gpu.card.left_alone_because,
                {gpu.card.instead}};
    return reset_by_hook(facts, gpu, evidence);
}

// More than a name, and what belongs to the card.
bool tells_of_resets(const DeviceTraits& traits)
{
    return traits.bus_reset != DeviceTraits::BusReset::untested ||
           traits.flr != DeviceTraits::Flr::untested || !traits.reset_module.empty();
}

Finding card_known(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto traits = traits_of(facts, gpu);
    const auto device = gpu.file("{vendor,device}") + ": " + device_id(facts.function(gpu)) + ", which is ";
    const auto known = traits.name.empty()
                           ? "not in the device table"
                           : "in the device table: " + traits.name + " (" + traits.source + ")";
    if (!gpu.card.port) return {Verdict::ok, device + known + "; " + gpu.card.left_alone_because};
    if (tells_of_resets(traits)) return {Verdict::ok, device + known};
    return {Verdict::note, device + known,
            is_of_templates(facts, gpu)
                ? Remedy{"'pve-gpu-install try' with a clone of the template shows whether its reset works"}
                : try_for(facts, gpu, "with the VM stopped this shows whether its reset works")};
}

std::string width_of(unsigned lanes)
{
    return "x" + std::to_string(lanes);
}

// Behind a switch on the card the endpoints always report 2.5 GT/s x1, so only the link of the card's top
// counts. An idle card lowers its speed, so a low speed alone is no fault.
Findings card_link(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& config = facts.function(gpu).config;
    const bool gone = config && config->health != Health::alive; // 'card.alive' tells; its link says nothing
    if (!gpu.card.port || gpu.card.top.empty() || gone) return {};
    const auto& port = facts.state(*gpu.card.port);
    const auto& top = facts.state(gpu.card.top.front());
    const auto file = paths::function(*gpu.card.port, "current_link_width");
    const bool unread = port.width == 0 || port.max_width == 0 || top.max_width == 0;
    if (unread && (port.asleep || top.asleep))
        return {{Verdict::unknown, file + " is not read: it would wake the card", wake(gpu)}};
    if (unread)
        return {{Verdict::unknown, file + " says nothing",
                 by_command("lspci -vv -s " + to_string(*gpu.card.port) + " | grep -E 'LnkCap|LnkSta'")}};
    const auto best = std::min(port.max_width, top.max_width);
    const auto evidence = file + " is " + std::to_string(port.width) + " at " + port.speed + "; slot " +
                          width_of(port.max_width) + ", card " + width_of(top.max_width);
    if (port.width >= best) return {{Verdict::ok, evidence}};
    return {{Verdict::warning,
             evidence + ", so " + width_of(best) + " is possible",
             {"switch the host's power off and on; if it stays, reseat the card and look in the "
              "firmware's setup at the slot's 'bifurcation' and shared lanes"}}};
}

// Of all of the card and its port; nothing where none of them counts.
std::optional<AerCounts> errors_of_card(const CheckFacts& facts, const GpuFacts& gpu)
{
    auto addresses = gpu.card.functions;
    append(addresses, gpu.card.switches);
    if (gpu.card.port) addresses.push_back(*gpu.card.port);
    std::optional<AerCounts> sum;
    for (const auto& address : addresses)
        if (const auto& errors = facts.state(address).errors) {
            if (!sum) sum.emplace();
            sum->fatal += errors->fatal;
            sum->nonfatal += errors->nonfatal;
            sum->correctable += errors->correctable;
        }
    return sum;
}

Finding card_errors(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto sum = errors_of_card(facts, gpu);
    const auto absent = gpu.file("aer_dev_fatal") + " is absent";
    if (!sum && !gpu.card.port) // of a processor's own GPU, or a virtual function
        return {Verdict::ok, absent + ": it has no error counters"};
    if (!sum) return {Verdict::unknown, absent, by_command("journalctl -k | grep AER")};
    const auto evidence = gpu.file("aer_dev_*") +
                          ", with those of all of the card and its port: " + std::to_string(sum->fatal) +
                          " fatal, " + std::to_string(sum->nonfatal) + " nonfatal, " +
                          std::to_string(sum->correctable) + " corrected";
    if (sum->fatal == 0 && sum->nonfatal == 0) return {Verdict::ok, evidence};
    if (log_has(facts, gpu, "log.reset-timeout"))
        return {Verdict::note,
                evidence,
                {"see 'log.reset-timeout': they came with a reset that the card did not answer, not from its "
                 "seat"},
                "a link whose card does not come back from a reset has errors too"};
    return {sum->fatal != 0 ? Verdict::warning : Verdict::note,
            evidence,
            {"reseat the card, try it without a riser, set a lower PCIe generation for the slot in the "
             "firmware's setup"}};
}

Findings module_for(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto module = traits_of(facts, gpu).reset_module;
    if (module.empty()) return {};
    const auto file = gpu.file("reset_method");
    const auto& methods = facts.function(gpu).reset_methods;
    if (!facts.loaded_modules.contains("vendor_reset"))
        return {{Verdict::warning,
                 paths::join(paths::modules, "vendor_reset") + " is absent: the module " + quote(module) +
                     ", which can reset this card, is not loaded",
                 by_command("echo " + module + " >> " + std::string(paths::modules_file),
                            "after " + quote(module) + " is installed with DKMS; then reboot")}};
    if (!contains(methods, "device_specific"))
        return {
            {Verdict::warning, quote(module) + " is loaded, but " + file + " is " + quote(join(methods, " ")),
             by_command("echo device_specific > " + file, "in a udev rule, before the card's first reset")}};
    return {{Verdict::ok, quote(module) + " is loaded, and " + file + " has 'device_specific'"}};
}

Findings reset_module(const CheckFacts& facts)
{
    auto findings = each_passed_gpu<module_for>(facts);
    const bool all_there = std::ranges::none_of(facts.named,
                                                [](const auto& one) {
                                                    return std::ranges::any_of(
                                                        one.second.devices, [](const PassedDevice& device) {
                                                            return !device.taken().missing.empty();
                                                        });
                                                }) &&
                           std::ranges::none_of(facts.next_starts, [](const auto& one) {
                               return one.second && one.second->reason == ErrorKind::not_found;
                           });
    if (findings.empty() && all_there && facts.loaded_modules.contains("vendor_reset"))
        findings.push_back(
            {Verdict::note,
             paths::join(paths::modules, "vendor_reset") + " is there, and no passed card needs it",
             {"take 'vendor-reset' out of " + std::string(paths::modules_file)},
             "DKMS builds it anew for each kernel, and that can fail"});
    return findings;
}

} // namespace

std::vector<Check> card_checks()
{
    return {
        {"card.alive", "the card answers", "whether the card's configuration space answers",
         "a card that reads all ones cannot be passed to anybody", each_passed_gpu<card_alive>},
        {"card.power", "the card is awake, or will be woken", "the card's power state",
         "a card in D3cold may not wake when its guest starts", each_passed_gpu<card_power>},
        {"card.reset", "the card is reset before each start",
         "the reset methods that the kernel offers, and the hook",
         "a card without a reset is dirty after its guest stops: the next start gives no picture",
         each_passed_gpu<card_reset>},
        {"card.known", "this kind of card is known", "the device table",
         "how its resets behave is then known from others", each_passed_gpu<card_known>},
        {"card.link", "the card has all of its lanes",
         "lanes between the card's port and the top of the card, against what both can",
         "after a bad reset or in a bad slot a card runs with half its lanes, or one",
         each_passed_gpu<card_link>},
        {"card.errors", "the card's link has no errors", "the error counters (AER) of the card and its port",
         "link errors freeze guests and hosts, and no setting cures them", each_passed_gpu<card_errors>},
        {"reset.module", "vendor-reset is loaded where it is the cure",
         "whether vendor-reset is loaded and used where it is the cure",
         "some AMD cards break in the kernel's own reset and recover in this module's only", reset_module},
    };
}

} // namespace pvegpu
