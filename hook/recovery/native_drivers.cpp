#include "recovery/native_drivers.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace pvegpu {
namespace {

const Undo autoprobe_back_on{Undo::Kind::setting, std::string(paths::drivers_autoprobe), "1"};

// "8086 56a6 1849 6006": with the subsystem, so that it matches as little else as possible.
std::string ids_of(const Function& function)
{
    return to_hex(function.vendor, 4) + " " + to_hex(function.device, 4) + " " +
           to_hex(function.subsystem_vendor, 4) + " " + to_hex(function.subsystem_device, 4);
}

// The ids of every function of the host that no driver has: vfio-pci would take one that is taught at once.
std::set<std::string> unbound_ids(const SysReader& reader, const std::vector<const CardPlan*>& cards)
{
    std::set<std::string> ids;
    for (const auto& address : list_functions(reader)) {
        const bool is_theirs =
            std::ranges::any_of(cards, [&](const auto* card) { return card->find(address) != nullptr; });
        if (is_theirs || reader.exists(paths::function(address, "driver"))) continue;
        if (const auto function = read_function(reader, address)) ids.insert(ids_of(*function));
    }
    return ids;
}

// Somebody else has switched it off, and the kernel heeds it: nothing binds by itself, with or without us.
bool autoprobe_is_off(const SysReader& reader)
{
    const auto release = reader.read(std::string(paths::kernel_release)).value_or("");
    return honours_autoprobe_on_rescan(release) &&
           reader.read(std::string(paths::drivers_autoprobe)).value_or("").starts_with('0');
}

// What gives a function to its native driver if we do not get to it.
Undo probe(const PciAddress& address)
{
    return {Undo::Kind::pci, std::string(paths::drivers_probe), to_string(address)};
}

} // namespace

bool honours_autoprobe_on_rescan(std::string_view kernel_release)
{
    return version_before(kernel_release, {6, 19}) == false;
}

// Two safeguards: the guardian child for our death, the journal for the death of both.
bool hold_autoprobe(const RunContext& run)
{
    const std::string path(paths::drivers_autoprobe);
    const auto release = run.system.read(std::string(paths::kernel_release)).value_or("");
    if (!honours_autoprobe_on_rescan(release)) return false;
    if (!run.system.read(path).value_or("").starts_with('1')) return false;
    run.journal.note(autoprobe_back_on);
    run.system.guard_write(path, "1");
    return write_checked(run, path, "0", setting_within, 0).done();
}

void release_autoprobe(const RunContext& run)
{
    write_checked(run, std::string(paths::drivers_autoprobe), "1", setting_within, 0);
    run.system.forget_guarded_writes();
    run.journal.settled(autoprobe_back_on);
}

void NativeDriverGuard::before_rescans(std::vector<const CardPlan*> cards)
{
    cards_ = std::move(cards);
    holds_autoprobe_ = hold_autoprobe(run_);
    nothing_binds_ = holds_autoprobe_ || autoprobe_is_off(run_.system);
    if (!nothing_binds_) return teach_ids();
    std::vector<Undo> undos;
    for (const auto* card : cards_)
        for (const auto& address : left_to_the_host(*card)) undos.push_back(probe(address));
    run_.journal.note(undos);
}

void NativeDriverGuard::after_rescans()
{
    if (nothing_binds_) probe_new_devices();
    if (holds_autoprobe_) release_autoprobe(run_);
    holds_autoprobe_ = nothing_binds_ = false;
    forget_ids();
}

// Bridges first: without their driver there is no error reporting and no power management for what is below.
std::vector<PciAddress> NativeDriverGuard::left_to_the_host(const CardPlan& card)
{
    std::vector<PciAddress> addresses{*card.card.port};
    append(addresses, card.card.switches);
    for (const auto& function : card.functions)
        if (function.in_scope && !function.goes_to_guest) addresses.push_back(function.address());
    return addresses;
}

void NativeDriverGuard::probe_new_devices()
{
    for (const auto* card : cards_)
        for (const auto& address : left_to_the_host(*card)) {
            if (!run_.system.exists(paths::function(address, "driver")))
                write_checked(run_, std::string(paths::drivers_probe), to_string(address),
                              card->settings.timeouts.bind, 0);
            run_.journal.settled(probe(address));
        }
}

// new_id takes the lock of every device that matches, so it comes after the cards were removed.
void NativeDriverGuard::teach_ids()
{
    std::map<std::pair<std::string, std::string>, Milliseconds> wanted; // driver and ids, and how long for
    for (const auto* card : cards_)
        for (const auto& function : card->functions)
            if (function.in_scope && function.goes_to_guest)
                wanted.insert({{function.vfio_driver, ids_of(function.facts)}, card->settings.timeouts.bind});
    const auto unbound = unbound_ids(run_.system, cards_);
    for (const auto& [what, within] : wanted) {
        const auto& [driver, ids] = what;
        if (unbound.contains(ids)) continue; // a twin of a card would be caught
        const Undo forget{Undo::Kind::setting, paths::driver(driver, "remove_id"), ids};
        run_.journal.note(forget);
        // Somebody else's rescan may have found the card meanwhile, and its native driver be at its probe.
        if (write_checked(run_, paths::driver(driver, "new_id"), ids, within, 0).done())
            taught_.push_back(forget);
        else
            run_.journal.settled(forget); // known already: not ours to remove
    }
}

void NativeDriverGuard::forget_ids()
{
    for (const auto& forget : std::exchange(taught_, {})) {
        write_checked(run_, forget.path, forget.text, setting_within, 0);
        run_.journal.settled(forget);
    }
}

} // namespace pvegpu
