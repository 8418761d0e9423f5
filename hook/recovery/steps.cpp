#include "recovery/steps.hpp"

#include "base/lists.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "recovery/device_settings.hpp"
#include "recovery/vt_console.hpp"
#include "usage/holders.hpp"
#include "usage/instances.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <optional>

namespace pvegpu {
namespace {

constexpr std::string_view vfio_pci = "vfio-pci";

bool is_present(const SysReader& reader, const PciAddress& address)
{
    return reader.exists(paths::function(address, "vendor"));
}

// Tells a function from the one that is found again in its place: sysfs gives no number twice for a long
// time. 0: absent.
std::uint64_t identity(const SysReader& reader, const PciAddress& address)
{
    const auto facts = reader.file_facts(paths::function(address));
    return facts && is_present(reader, address) ? facts->inode : 0;
}

[[noreturn]] void fail(const PciAddress& address, const Advice& advice, int error_number = 0)
{
    throw Error(ErrorKind::failed, {quote(address) + " " + advice.fact, advice.remedy}, "", error_number);
}

// A refusal has no effect that would come later.
Milliseconds effect_within(const RunContext& run, const SysResult& outcome, Milliseconds timeout)
{
    return outcome.refused() ? Milliseconds(0) : run.deadline.at_most(run.system, timeout);
}

// Lets go of whatever driver is bound. Also used where the native driver won a rescan.
void unbind_now(const RunContext& run, const CardPlan& card, const PciAddress& address,
                const std::string& driver)
{
    const auto& timeouts = card.settings.timeouts;
    const auto outcome = write_checked(run, paths::driver(driver, "unbind"), to_string(address),
                                       timeouts.unbind, card.settings.retries);
    const bool gone = run.system.wait_until([&] { return bound_driver(run.system, address) != driver; },
                                            effect_within(run, outcome, timeouts.unbind));
    if (!gone)
        fail(address, {"is still bound to '" + driver + "' after it was unbound"}, outcome.error_number);
}

// Whether removing the function or bridge at that address removes this one.
bool goes_with(const PlannedFunction& function, const PciAddress& address)
{
    const auto& above = function.facts.above;
    return function.address() == address || contains(above, address);
}

// What puts a function back on the driver that it was taken from, as long as it was not removed.
Undo bind_back(const std::string& driver, const PciAddress& address)
{
    return {Undo::Kind::pci, paths::driver(driver, "bind"), to_string(address)};
}

enum class Wanted { everything, what_the_guest_gets };

bool came_back(const SysReader& reader, const CardPlan& card, const PciBus& bus, Wanted wanted)
{
    const bool whole_card = std::ranges::none_of(
        card.functions, [&](const PlannedFunction& one) { return bus_of(one.address()) == bus; });
    return std::ranges::all_of(card.functions, [&](const PlannedFunction& one) {
        const bool expected = one.in_scope && (whole_card || bus_of(one.address()) == bus) &&
                              (one.goes_to_guest || wanted == Wanted::everything);
        return !expected || is_present(reader, one.address());
    });
}

// The BARs, as they were, that came back smaller: a resizable BAR goes back to its default with the reset.
std::vector<Bar> shrunken_bars(const SysReader& reader, const PlannedFunction& before)
{
    std::vector<Bar> shrunken;
    const auto now = read_function(reader, before.address());
    if (!now) return shrunken;
    std::ranges::copy_if(before.facts.bars, std::back_inserter(shrunken), [&](const Bar& bar) {
        return std::ranges::any_of(
            now->bars, [&](const Bar& other) { return other.index == bar.index && other.size < bar.size; });
    });
    return shrunken;
}

// The kernel resizes only while nothing is bound.
void put_bar_sizes_back(const RunContext& run, const PciAddress& address, const std::vector<Bar>& bars)
{
    constexpr std::uint64_t mebibyte = 1U << 20U;
    for (const auto& bar : bars) {
        const auto path = paths::function(address, "resource" + std::to_string(bar.index) + "_resize");
        if (bar.size < mebibyte || !run.system.exists(path)) continue;
        const auto size =
            std::to_string(std::bit_width(bar.size / mebibyte) - 1); // log2 of MiB, as the ABI has it
        write_checked(run, path, size, setting_within, 0);
    }
}

// The installer's files, and whether the host has booted with them.
std::string how_vfio_comes_first(const SysReader& reader, const std::string& guest)
{
    if (reader.exists(std::string(paths::boot_files_changed)))
        return "reboot the host: 'pve-gpu-install' has written what makes vfio-pci load first";
    if (reader.exists(std::string(paths::modprobe)))
        return "'pve-gpu-install check " + guest + "' shows what loads it before vfio-pci";
    return "run 'pve-gpu-install " + guest + "' and reboot, so that vfio-pci loads first";
}

// The first who counts.
std::optional<Holder> holder_of(const RunContext& run, const std::vector<CardFunction>& functions)
{
    std::vector<Function> found;
    for (const auto& one : functions)
        if (auto function = read_function(run.system, one.address)) found.push_back(std::move(*function));
    const auto is_named = [&](const PciAddress& address) {
        return std::ranges::any_of(functions, [&](const CardFunction& one) {
            const auto* planned = one.address == address ? one.card->find(address) : nullptr;
            return planned != nullptr && !planned->hostpci.empty();
        });
    };
    for (const auto& holder : find_holders(run.system, found, run.vmid))
        if (holder.kind != Holder::Kind::usb || !is_named(holder.function)) return holder;
    return std::nullopt;
}

// A native driver that won our own rescan is met by udev's programs and by monitors (alsactl, nvidia-smi):
// they look at the new device and let go of it. Throws Error(in_use) if one stays.
void wait_for_passers_by(const RunContext& run, const CardPlan& card, const PciAddress& address)
{
    const auto patience = run.deadline.at_most(run.system, card.settings.timeouts.busy);
    const auto end = run.system.now() + patience;
    for (;;) {
        const auto holder = holder_of(run, {{&card, address}});
        if (!holder) return;
        if (holder->kind != Holder::Kind::process || run.system.now() >= end)
            throw Error(ErrorKind::in_use, in_use_message(*holder));
        sleep_for(run, between_looks);
    }
}

// driver_override rather than new_id: it names this one function, not every card of its kind.
void bind_now(const RunContext& run, const CardPlan& card, const PlannedFunction& function)
{
    const auto& address = function.address();
    const auto& driver = function.vfio_driver;
    const auto& timeouts = card.settings.timeouts;
    write_checked(run, paths::function(address, "driver_override"), driver, timeouts.bind, 0);
    if (bound_driver(run.system, address) == driver) return;
    const auto outcome = write_checked(run, paths::driver(driver, "bind"), to_string(address), timeouts.bind,
                                       card.settings.retries);
    const bool bound = run.system.wait_until([&] { return bound_driver(run.system, address) == driver; },
                                             effect_within(run, outcome, timeouts.bind));
    if (!bound)
        fail(address, {"could not be bound to '" + driver + "'", "see the kernel's log (dmesg)"},
             outcome.error_number);
}

} // namespace

void check_not_held(const RunContext& run, const std::vector<CardFunction>& functions)
{
    if (functions.empty()) return;
    if (const auto holder = holder_of(run, functions))
        throw Error(ErrorKind::in_use, in_use_message(*holder));
}

std::vector<Undo> undos_of(const RunContext& run, const Step& step)
{
    if (const auto* const unbind = std::get_if<Unbind>(&step)) {
        const auto driver = bound_driver(run.system, unbind->function);
        return driver.empty() ? std::vector<Undo>() : std::vector{bind_back(driver, unbind->function)};
    }
    if (const auto* const remove = std::get_if<Remove>(&step)) {
        if (!is_present(run.system, remove->function)) return {};
        auto undos = device_settings_below(run, remove->function);
        undos.push_back({Undo::Kind::pci, paths::bus_rescan(bus_of(remove->function)), "1"});
        return undos;
    }
    return {};
}

StepOutcome wake(const RunContext& run, const CardPlan& card, const PciAddress& address)
{
    auto awake = card.find(address)->facts.above;
    awake.push_back(address);
    for (const auto& each : awake)
        for (const auto file : power_files)
            keep_awake(run.system, paths::function(each, file),
                       run.deadline.at_most(run.system, card.settings.timeouts.reset));
    return {};
}

StepOutcome unbind(const RunContext& run, const CardPlan& card, const PciAddress& address)
{
    const auto driver = bound_driver(run.system, address);
    if (driver.empty()) return {StepResult::skipped, "no driver is bound"};
    release_console(run, card.find(address)->facts);
    unbind_now(run, card, address, driver);
    return {.detail = "from '" + driver + "'"};
}

StepOutcome remove(const RunContext& run, const CardPlan& card, const PciAddress& address)
{
    if (!is_present(run.system, address)) return {StepResult::skipped, "is not there"};
    std::vector<CardFunction> bound;
    for (const auto& function : card.functions)
        if (goes_with(function, address) && !bound_driver(run.system, function.address()).empty())
            bound.push_back({&card, function.address()});
    check_not_held(run, bound);
    const auto before = identity(run.system, address);
    const auto outcome = write_checked(run, paths::function(address, "remove"), "1",
                                       card.settings.timeouts.remove, card.settings.retries);
    // Somebody else's rescan may have found it again already.
    const bool gone = run.system.wait_until([&] { return identity(run.system, address) != before; },
                                            effect_within(run, outcome, card.settings.timeouts.remove));
    if (!gone) fail(address, {"is still there after it was removed"}, outcome.error_number);
    for (const auto& function : card.functions)
        if (goes_with(function, address))
            run.journal.settled(bind_back(function.facts.driver, function.address()));
    return {};
}

StepOutcome rescan(const RunContext& run, const CardPlan& card, const PciBus& bus)
{
    const auto& timeouts = card.settings.timeouts;
    const auto path = paths::bus_rescan(bus);
    const auto outcome = write_checked(run, path, "1", timeouts.rescan, card.settings.retries);
    if (outcome.refused())
        throw Error(ErrorKind::failed, {"bus " + quote(bus) + " could not be rescanned"}, path,
                    outcome.error_number);
    const bool complete =
        run.system.wait_until([&] { return came_back(run.system, card, bus, Wanted::everything); },
                              run.deadline.at_most(run.system, timeouts.reappear));
    if (!complete && !came_back(run.system, card, bus, Wanted::what_the_guest_gets))
        throw Error(ErrorKind::failed,
                    {"not every function came back after bus " + quote(bus) + " was rescanned"});
    run.journal.settled({Undo::Kind::pci, path, "1"});
    return {};
}

StepOutcome bind(const RunContext& run, const CardPlan& card, const PciAddress& address)
{
    const auto& planned = *card.find(address);
    StepOutcome outcome;
    const auto driver = bound_driver(run.system, address);
    const bool wrong = !driver.empty() && driver != planned.vfio_driver;
    const auto shrunken = shrunken_bars(run.system, planned);
    if (wrong || (!driver.empty() && !shrunken.empty())) {
        wait_for_passers_by(run, card, address);
        unbind_now(run, card, address, driver);
    }
    if (wrong) {
        outcome.detail = "from '" + driver + "'";
        run.warn({"'" + driver + "' bound " + quote(address) + " first and was unbound again",
                  how_vfio_comes_first(run.system, option_of(run.system, run.vmid))});
    }
    put_bar_sizes_back(run, address, shrunken);
    bind_now(run, card, planned);
    wake(run, card, address); // vfio-pci lets an idle device sleep from its bind on
    return outcome;
}

StepOutcome give_back(const RunContext& run, const CardPlan& card, const GiveBack& step)
{
    const auto& address = step.function;
    const auto& driver = step.driver;
    const auto override_file = paths::function(address, "driver_override");
    const auto within = card.settings.timeouts.bind;
    if (!driver.empty()) write_checked(run, override_file, driver, within, 0);
    write_checked(run, std::string(paths::drivers_probe), to_string(address), within, 0);
    const auto bound = [&] { return !bound_driver(run.system, address).empty(); };
    if (!driver.empty() && !run.system.wait_until(bound, run.deadline.at_most(run.system, within)))
        run.warn({quote(address) + " could not be given back to '" + driver + "'",
                  "see the kernel's log (dmesg)"});
    write_checked(run, override_file, "\n", within, 0);
    const auto now = bound_driver(run.system, address);
    return {.detail = now.empty() ? "no driver has taken it" : "to '" + now + "'"};
}

void unbind_from_vfio(const RunContext& run, const CardPlan& card)
{
    for (const auto& function : card.functions)
        if (function.in_scope && function.goes_to_guest &&
            bound_driver(run.system, function.address()) == function.vfio_driver)
            unbind_now(run, card, function.address(), function.vfio_driver);
}

void require_vfio(const RunContext& run, Milliseconds timeout)
{
    if (run.system.exists(paths::driver(vfio_pci))) return;
    const auto outcome = run.system.run({"/sbin/modprobe", std::string(vfio_pci)}, timeout);
    if (!run.system.exists(paths::driver(vfio_pci)))
        throw Error(ErrorKind::failed,
                    {"'modprobe vfio-pci' failed: " + (outcome.text.empty() ? "not found" : outcome.text)});
}

} // namespace pvegpu
